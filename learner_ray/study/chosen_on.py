"""Which of the package's defaults were chosen by looking at a cohort, and how such a cohort is recognised.

A study of that cohort does not confirm them: its test patients took part in the choice. ``study.json`` says
so at the start, and the report repeats it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from learner_ray.cohort import Cohort
from learner_ray.core.config import Config
from learner_ray.run.spec import Source

OASIS2 = "OASIS-2"
LUS_PHANTOM = "the package's lung phantom, any draw of it"
_OASIS2_PATIENT = re.compile(r"OAS2_?\d{4}", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One choice among settings that was made on cohorts; the sections of docs/log.md are named by date."""

    what: str
    cohorts: tuple[str, ...]
    patients: str
    """The patients whose data decided: ``outer test patients`` or ``training patients``."""
    log: str
    """Date of the section of docs/log.md that has the figures."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """The keys that were chosen, with their value; a study that sets another does not rest on the choice.
    Empty for what no key changes."""
    searching: bool = False
    """Whether it matters only where something is searched."""


CHOICES = (
    Choice(
        what="the progression classifier and the patients it is fitted on",
        cohorts=(OASIS2, LUS_PHANTOM),
        patients="outer test patients",
        log="2026-11-25",
        defaults={
            "progression.head": "logistic",
            "progression.input": "difference",
            "progression.pairs": "consecutive",
            "progression.decision": "prior",
            "progression.patients": "same",
            "progression.finetune_epochs": 0,
        },
    ),
    Choice(
        what="the metric by which a search selects",
        cohorts=(OASIS2, LUS_PHANTOM),
        patients="outer test patients",
        log="2026-11-25",
        defaults={"progression.selection_metric": "kappa"},
        searching=True,
    ),
    Choice(
        what="the epochs that may be selected, the later half of the schedule",
        cohorts=(LUS_PHANTOM,),
        patients="outer test patients",
        log="2026-11-25",
        searching=True,
    ),
    Choice(
        what="how an arm's prediction is combined with the earlier score",
        cohorts=(OASIS2, LUS_PHANTOM),
        patients="outer test patients",
        log="2026-11-27",
    ),
    Choice(
        what="weights of contrastive terms that are balanced by gradients",
        cohorts=(OASIS2, LUS_PHANTOM),
        patients="training patients",
        log="2026-11-27",
        defaults={"loss.weighting": "balanced"},
    ),
)
"""All that is known to have been chosen so. On COVID-BLUES nothing was; it was only measured."""


def chosen_on(cohort: Cohort, source: Source, configs: Iterable[Config], *, searched: bool) -> dict[str, Any]:
    """Which defaults that a study uses were chosen on its cohort.

    Args:
        cohort: of the study.
        source: where it comes from.
        configs: of the arms that are compared.
        searched: whether anything is searched.

    Returns:
        ``cohort``, the name of the known cohort, or None; ``recognised_by``, in words; and ``choices``, each
        with ``what``, ``keys``, ``patients`` and ``log``.
    """
    name, by = recognise(cohort, source)
    used = [config.in_effect() for config in configs]
    found = []
    for choice in CHOICES:
        keys = [
            key for key, value in choice.defaults.items() if any(values.get(key) == value for values in used)
        ]
        rests = bool(keys) or not choice.defaults
        if name in choice.cohorts and rests and (searched or not choice.searching):
            found.append({"what": choice.what, "keys": keys, "patients": choice.patients, "log": choice.log})
    return {"cohort": name, "recognised_by": by, "choices": found}


def recognise(cohort: Cohort, source: Source) -> tuple[str | None, str]:
    """The known cohort that a cohort is, or holds patients of, and what it is recognised by; None and what
    was looked at where it is none.

    OASIS-2 is recognised in any selection or conversion that keeps the subjects' ids or the distributed
    layout. Lung phantoms of all seeds count: they are draws of one generator.
    A cohort whose patients were renamed is not recognised.
    """
    if cohort.phantom:
        return (LUS_PHANTOM if cohort.modality == "lus" else None), "its phantom flag and modality"
    if source.format == "oasis2" or cohort.name == OASIS2:
        return OASIS2, "its layout or name"
    if any(_OASIS2_PATIENT.fullmatch(patient) for patient in cohort.patients):
        return OASIS2, "the ids of its patients"
    return None, "layout, name and ids of patients"

"""The way of a study's scans from the listing to the analysed pairs, as far as its results folder tells.

Older versions stored sentences on what was left out and no counts: of their studies some steps are not
recorded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.results.endpoints import CLASSES, PROGRESSION
from analysis.results.final_runs import common_rows
from analysis.results.names import printable
from analysis.results.study import StudyResults

COUNTED = ("scans", "visits", "patients", "pairs")


@dataclass(frozen=True, kw_only=True)
class Count:
    """How many of what is meant."""

    what: str
    """A step, or why something was left out."""
    numbers: Mapping[str, int]
    """By ``COUNTED`` and class; empty where nothing is recorded."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of the flow, and what is left out between it and the next."""

    kept: Count
    why: str = ""
    """What the reasons have in common; empty after the last step."""
    left_out: tuple[Count, ...] | None = ()
    """One count per reason; None where it is not recorded."""


@dataclass(frozen=True, kw_only=True)
class Flow:
    """The steps of one cohort of a study."""

    cohort: str
    external: bool
    steps: tuple[Step, ...]
    folds: tuple[Count, ...] = ()
    """Analysed pairs by repeat and test fold."""


def flows_of(study: StudyResults) -> list[Flow]:
    """The flow of the study's cohort, then that of its external cohort where it has one."""
    info, external = study.info, study.info.get("external") or {}
    unreadable: dict[str, int] | None = {} if info.get("left_out") == [] else None
    own = _flow(
        study.cohort, info.get("flow") or _of_summary(study.cohort, unreadable), study.compared, study.classes
    )
    found = [
        Flow(
            cohort=_name(study.cohort), external=False, steps=own, folds=_folds(study.compared, study.classes)
        )
    ]
    if external:
        bad = external.get("bad_scans")
        known = None if bad is None else {"reason not recorded": bad} if bad else {}
        steps = _flow(
            external, external.get("flow") or _of_summary(external, known), _external(study), study.classes
        )
        found.append(Flow(cohort=_name(external), external=True, steps=steps))
    return found


def flow_table(study: StudyResults, flows: Sequence[Flow]) -> pd.DataFrame:
    """One row per count of a study's flows: cohort, step, part (kept, left out, or a test fold), reason, and
    the numbers, empty where they are not recorded."""
    rows: list[dict[str, Any]] = []
    for flow in flows:
        begin = {"study": study.key, "cohort": flow.cohort, "external": flow.external}
        for step in flow.steps:
            begin["step"] = step.kept.what
            rows.append({**begin, "part": "kept", "reason": "", **step.kept.numbers})
            left_out = [Count(what="not recorded", numbers={})] if step.left_out is None else step.left_out
            rows += [{**begin, "part": "left out", "reason": c.what, **c.numbers} for c in left_out]
        rows += [{**begin, "part": f"test {c.what}", "reason": "", **c.numbers} for c in flow.folds]
    counted = [*COUNTED, *dict.fromkeys((*CLASSES[PROGRESSION], *study.classes))]
    columns = ["study", "cohort", "external", "step", "part", "reason", *counted]
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(counted, "Int64"))


def _flow(
    cohort: Mapping[str, Any], counts: Mapping[str, Any], analysed: pd.DataFrame, classes: Sequence[str]
) -> tuple[Step, ...]:
    pairs = "Progression pairs" if cohort.get("temporal", True) else "Pairs of neighbouring scans"
    return (
        Step(kept=_count("Listed or found", counts.get("listed")), why="Left out when tables were read",
             left_out=_by_reason(counts.get("left_out"))),
        Step(kept=_count("With a score", counts.get("with_score")), why="Cannot be read",
             left_out=_by_reason(counts.get("unreadable"))),
        Step(kept=_count("Readable", counts.get("readable")), why="In no pair", left_out=_alone(counts)),
        Step(kept=_paired(pairs, counts), why="Not predicted by every arm",
             left_out=_missed(counts, analysed)),
        Step(kept=Count(what="Analysed", numbers=pair_numbers(analysed, classes))),
    )  # fmt: skip


def _of_summary(cohort: Mapping[str, Any], unreadable: Mapping[str, int] | None) -> dict[str, Any]:
    """What an older version recorded, in the form of today: sizes, before unreadable scans were left out.

    Args:
        cohort: with its sizes.
        unreadable: scans that cannot be read, by reason; None where that is not known.
    """
    sizes = {name: _number(cohort.get(name)) for name in ("scans", "visits", "patients")}
    found: dict[str, Any] = {"with_score": sizes, "unreadable": unreadable}
    if unreadable != {}:
        return found
    patients, paired = sizes["patients"], _number(cohort.get("patients_with_pairs"))
    found |= {"readable": sizes, "pairs": cohort.get("pairs"), "class_counts": cohort.get("class_counts")}
    if patients is None or paired is None or sizes["visits"] is None:
        return found
    # Where all can be read, a patient without a pair has one visit.
    alone = patients - paired
    found["one_visit"] = {"visits": alone, "patients": alone}
    found["paired"] = {"visits": sizes["visits"] - alone, "patients": paired}
    return found


def _paired(what: str, counts: Mapping[str, Any]) -> Count:
    own = dict(_count(what, counts.get("paired")).numbers)
    classes = counts.get("class_counts")
    if isinstance(classes, list) and len(classes) == len(CLASSES[PROGRESSION]):
        own |= _known({"pairs": counts.get("pairs"), **dict(zip(CLASSES[PROGRESSION], classes, strict=True))})
    return Count(what=what, numbers=own)


def _alone(counts: Mapping[str, Any]) -> tuple[Count, ...] | None:
    found = [
        _count("one visit only", counts.get("one_visit")),
        _count("neighbouring visit cannot be read", counts.get("no_neighbour")),
    ]
    if not found[0].numbers:
        return None
    return tuple(count for count in found if count.numbers.get("visits"))


def _missed(counts: Mapping[str, Any], analysed: pd.DataFrame) -> tuple[Count, ...] | None:
    """The pairs that are in no table, since some arm has not predicted them."""
    pairs = _number(counts.get("pairs"))
    if pairs is None:
        return None
    missed = pairs - len(analysed.drop_duplicates(["patient", "pair"]))
    return (Count(what="final runs missing", numbers={"pairs": missed}),) if missed > 0 else ()


def pair_numbers(ledger: pd.DataFrame, classes: Sequence[str]) -> dict[str, int]:
    """Count the patients and the distinct pairs of a ledger, all and by class."""
    pairs = ledger.drop_duplicates(["patient", "pair"])
    counts = {name: int((pairs["y_true"] == c).sum()) for c, name in enumerate(classes)}
    return {"patients": int(pairs["patient"].nunique()), "pairs": len(pairs), **counts}


def _folds(ledger: pd.DataFrame, classes: Sequence[str]) -> tuple[Count, ...]:
    test = ["repeat", "fold"]
    # Rows are taken apart fold by fold, which is slow of all columns, arms and seeds.
    once = ledger[[*test, "patient", "pair", "y_true"]].drop_duplicates([*test, "patient", "pair"])
    return tuple(
        Count(what=f"fold {fold} of repeat {repeat}", numbers=pair_numbers(rows, classes))
        for (repeat, fold), rows in once.groupby(test)
    )


def _external(study: StudyResults) -> pd.DataFrame:
    return study.external if study.external.empty else common_rows(study.external)


def _by_reason(counts: object) -> tuple[Count, ...] | None:
    if not isinstance(counts, Mapping):
        return None
    return tuple(Count(what=printable(str(why)), numbers=_known({"scans": n})) for why, n in counts.items())


def _count(what: str, numbers: object) -> Count:
    return Count(what=what, numbers=_known(numbers) if isinstance(numbers, Mapping) else {})


def _known(numbers: Mapping[str, Any]) -> dict[str, int]:
    """Those of some numbers that are recorded: a damaged study.json may hold anything."""
    return {name: n for name, value in numbers.items() if (n := _number(value)) is not None}


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _name(cohort: Mapping[str, Any]) -> str:
    return printable(str(cohort.get("name") or "of no recorded name"))

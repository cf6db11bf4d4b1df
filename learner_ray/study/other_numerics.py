"""Results of other numerics than this version's: complete runs are found and tabled, and none is added.

See :mod:`learner_ray.core.numerics`. A study is planned with the number that its folder records, so that its
runs have the names they had. What is left to train would be another version's work.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import optuna

from learner_ray.core.errors import UserError
from learner_ray.core.numerics import NUMERICS, UNNAMED
from learner_ray.run.folder import RunFolder, RunStore
from learner_ray.run.states import State
from learner_ray.study.archive import run_hashes
from learner_ray.study.options import RETRY
from learner_ray.study.plan import Plan
from learner_ray.study.results import Results
from learner_ray.study.runner import StudyRunner
from learner_ray.study.study import Study

_LEVELS_IN_MM = 3
"""The first numerics whose volumes are shown in mm."""


def recorded_numerics(results: Results) -> int:
    """The number of the runs in a results folder; this version's where there are none.

    Raises:
        UserError: ``study.json`` was changed since it was written.
    """
    study = results.study()
    if study is not None:
        return int(study["numerics"])
    # Without study.json the tables tell: they must not be written over by those of other runs.
    with suppress(UserError):
        for run_hash in run_hashes(results.out):
            with suppress(UserError):  # that run is damaged
                return results.store.folder(run_hash).read_spec().numerics
    return NUMERICS


def recipe_then(study: Study, numerics: int) -> Study:
    """A study's recipe as its results were made. Those of numerics 1 and 2 know no levels in mm, and those of
    numerics 1 no balanced weights: an arm whose weight has become balanced since is the arm that it was."""
    if numerics < _LEVELS_IN_MM:
        data = replace(study.base.data, levels="extent", mm_per_pixel=0.0)
        study = replace(study, base=replace(study.base, data=data))
    if numerics != UNNAMED:
        return study
    edits = [{k: v for k, v in arm.edits.items() if k != "loss.weighting"} for arm in study.arms]
    arms = (replace(arm, edits=own) for arm, own in zip(study.arms, edits, strict=True))
    return replace(study, arms=tuple(arms))


def notice(numerics: int) -> str:
    """What is said of a results folder before anything else is done; empty where this version made it."""
    if numerics == NUMERICS:
        return ""
    return (
        f"The results are of numerics {numerics}, and this version computes numerics {NUMERICS}: complete "
        "runs are found and tables written, but nothing is trained there"
    )


def refuse_to_add(plan: Plan, results: Results, retry: str | None) -> None:
    """Refuses a plan of other numerics of which anything is left to train. Changes no file.

    Args:
        plan: with the number that the results folder records.
        results: the folder.
        retry: the value of ``--retry``.

    Raises:
        UserError: a run of the plan is missing, unfinished or damaged, or is to be tried again.
    """
    numerics = plan.settings.numerics
    if numerics == NUMERICS or not (left := _left_to_train(plan, results.store, retry)):
        return
    study = results.study() or {}
    version = (study.get("versions") or {}).get("learner-ray", "not recorded")
    raise UserError(
        f"{results.address} holds runs of numerics {numerics}, and this version computes numerics "
        f"{NUMERICS}, which gives other numbers from the same configuration. Runs of two numbers are not "
        f"mixed, but {left}. Nothing was changed: the ledger stays, and python analysis/report.py "
        f"{results.out} still reports it. To train, name a new folder with --out, or go on with the version "
        f"that made this one (learner-ray {version}, code {study.get('git_sha') or 'not recorded'}): "
        f"{study.get('command', 'its command is not recorded')}"
    )


def _left_to_train(plan: Plan, store: RunStore, retry: str | None) -> str:
    """Says which run of a plan would be trained, the first that is found; empty where none would be."""
    runner = StudyRunner(
        plan.groups,
        plan.study.space,
        _KeptStore(store),
        lambda name: optuna.create_study(study_name=name, direction="maximize"),
        RETRY[retry] if retry else (),
    )
    try:
        if runner.resume():
            return ""
        planned = runner.next_run()
    except _WouldChangeError as error:
        return str(error)
    return f"{planned.label if planned else 'a run'} is still to be trained"


class _WouldChangeError(Exception):
    """A run that ended would be trained again."""


class _KeptFolder(RunFolder):
    """The files of a run, which stay as they are."""

    def begin_anew(self, run_hash: str) -> None:
        raise _WouldChangeError(f"of run {run_hash} {self.fault(run_hash)}")

    def reopen(self) -> None:
        raise _WouldChangeError(f"run {self.path.name} failed and is to be tried again")

    def finish(self, state: State, reason: str = "") -> None:
        raise _WouldChangeError(f"run {self.path.name} has not ended")


class _KeptStore(RunStore):
    """The runs of a results root, which stay as they are."""

    _kind = _KeptFolder

    def __init__(self, store: RunStore) -> None:
        self.__dict__ |= vars(store)

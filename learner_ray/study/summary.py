"""What is said of a study before it runs and after it has run."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from learner_ray.core.durations import duration
from learner_ray.core.withheld import sayable
from learner_ray.study.main_table import main_table_text
from learner_ray.study.plan import Plan
from learner_ray.study.runner import StudyRunner


@dataclass(frozen=True, kw_only=True)
class SweepResult:
    """How a study ended of which all runs have ended."""

    out: Path
    """The results folder."""
    runs: int
    """All runs of the study, those of earlier calls included."""
    failed: int
    """Runs that failed or diverged."""
    complete: bool
    """Whether no result is lacking. A trial that diverged is a result of its search; a run that failed, and a
    final run that diverged or could never begin, are lacking."""
    device_seconds: float
    """The device time of all runs, in seconds."""
    summary: str
    """The main table, what failed, and the next commands to type."""

    @classmethod
    def of(cls, runner: StudyRunner, out: Path, external: str, untested: Collection[str]) -> SweepResult:
        """The result of a study whose runner has run all there is to run.

        Args:
            runner: the runner.
            out: the results folder.
            external: what is to be said of an external cohort; empty where there is none.
            untested: final runs that could not be tested on it.
        """
        return cls(
            out=out,
            runs=len(runner.outcomes),
            failed=len(runner.failed),
            complete=not runner.is_short and not untested,
            device_seconds=sum(outcome.device_seconds for outcome in runner.outcomes),
            summary=summary(runner, out, external),
        )

    def __str__(self) -> str:
        return self.summary


def heading(plan: Plan, *, devices: object, results: object) -> str:
    """What will run, on which devices, and where its results go.

    Args:
        plan: what would run.
        devices: described by their ``str``.
        results: the results folder, likewise.
    """
    cohort, counts = plan.cohort, plan.cohort.class_counts()
    facts = cohort.summary()
    kind = f"{'phantom ' if cohort.phantom else ''}cohort {cohort.name}"
    if not cohort.temporal:
        kind += " (not temporal)"
    return "\n".join(
        [
            f"Study {plan.study.name}, profile {plan.profile}, {devices}; results in {results}",
            f"{kind}: {facts['patients']} patients, {facts['scans']} scans, {facts['pairs']} pairs "
            f"(worse/same/better {counts[0]}/{counts[1]}/{counts[2]})",
            f"{plan.runs} runs: {len(plan.arms)} arms, {plan.size.repeats} repeats, {plan.size.folds} folds"
            f"{f' ({plan.division.words})' if plan.division.words else ''}, "
            f"{plan.size.trials} trials, {plan.size.audits} audits and {plan.size.seeds} final runs each "
            "(without a search: final runs only); "
            f"{plan.base.train.precision}, {plan.base.data.image_size} px, {plan.base.train.epochs} epochs",
        ]
    )


def summary(runner: StudyRunner, out: Path, external: str = "") -> str:
    """The main table of a study that has ended, its failed runs, what is to be said of an external cohort,
    and the next commands to type."""
    failed = runner.failed
    seconds = sum(outcome.device_seconds for outcome in runner.outcomes)
    runs = len(runner.outcomes)
    lines = [
        main_table_text(out),
        f"{runs} runs, {duration(seconds)} of device time, {len(failed)} failed or diverged",
        *([f"Finished, but {len(failed)} of {runs} runs failed or diverged:"] if runner.is_short else []),
        *(f"  {outcome.planned.label}: {sayable(outcome.reason)}" for outcome in failed),
        *([external] if external else []),
        "Next:",
        f"  tensorboard --logdir {out}",
        f"  python analysis/report.py {out} --out report",
    ]
    return "\n".join(lines)

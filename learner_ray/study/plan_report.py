"""What a study would cost, and the smallest difference that it could find, before anything runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from analysis.statistics.fitted_noise import fitted_noise
from analysis.statistics.metrics import METRICS, ReportMetric
from analysis.statistics.power import POWER, minimum_detectable
from analysis.statistics.simulated_studies import DEFAULT_NOISE, Design, Noise
from learner_ray.core.durations import duration
from learner_ray.run.throughput import Throughput
from learner_ray.study.cost_estimate import ArmCost, estimate_cost
from learner_ray.study.plan import Plan


@dataclass(frozen=True, kw_only=True)
class PlanReport:
    """A study's runs, hours, disk space and minimum detectable difference; ``print`` shows all of it."""

    plan: Plan
    heading: str
    """What would run, on which devices, and where its results would go."""
    throughput: Mapping[str, Throughput]
    """Seconds per scan by the encoder and its views, and the device that was timed."""
    encoder_bytes: int
    """Size of the encoders of all final runs; all else in the runs' folders is small beside them."""
    slots: int
    """Runs at a time."""
    not_timed: str = ""
    """Which devices the study may get that are perhaps of another make than the one timed; empty for none."""
    ledger: Path | None = None
    """The table of final runs that the study has already, whose noise tells what it could detect."""

    def __str__(self) -> str:
        return f"{self.heading}\n{self.costs}"

    @property
    def runs(self) -> int:
        """The number of all runs: trials, audits and final runs."""
        return self.plan.runs

    @cached_property
    def arm_costs(self) -> Sequence[ArmCost]:
        """The runs and device time of every arm."""
        return estimate_cost(self.plan, self.throughput)

    @property
    def device_seconds(self) -> float:
        """The device time of all runs together, in seconds."""
        return sum(cost.device_seconds for cost in self.arm_costs)

    @cached_property
    def costs(self) -> str:
        """The cost of every arm and of all together, and the minimum detectable difference, as text."""
        width = max(len(cost.arm) for cost in self.arm_costs)
        rows = [
            f"  {cost.arm:{width}}  {cost.trials:5d} trials  {cost.audits:4d} audits  "
            f"{cost.finals:4d} final runs  {duration(cost.device_seconds)} of device time"
            for cost in self.arm_costs
        ]
        seconds = self.device_seconds
        total = (
            f"In all {self.runs} runs, {duration(seconds)} of device time{self._timed}, about "
            f"{duration(seconds / self.slots)} with {self.slots} at a time; "
            f"{self.encoder_bytes / 1e9:.1f} GB of disk for final encoders."
        )
        known = [self.not_timed] if self._timed and self.not_timed else []
        return "\n".join([*rows, total, *known, detectable(self.plan, self.ledger)])

    @property
    def _timed(self) -> str:
        """The devices whose pace is that of the costs; empty where no arm trains."""
        makes = sorted({measured.device for measured in self.throughput.values() if measured.device})
        return f" as measured on {' and '.join(makes)}" if makes else ""


def noise_seen(ledger: Path | None, reference: str, arms: Sequence[str]) -> tuple[Noise, str]:
    """The noise that runs and patients are simulated with, and where it is from, in words.

    Args:
        ledger: of final runs that the study has already; they need not be those that are planned.
        reference: the arm that others are compared with.
        arms: those others.
    """
    assumed = DEFAULT_NOISE, "noise as assumed"
    if ledger is None or not ledger.is_file():
        return assumed
    try:
        rows = pd.read_parquet(ledger)
        seen = fitted_noise(rows, reference, arms)
    except (OSError, ValueError, KeyError):  # a damaged ledger is written anew by the sweep itself
        return assumed
    runs = rows.loc[rows["arm"].isin([reference, *arms]), "run_hash"].nunique() if seen else 0
    return (seen, f"noise fitted to {runs} final runs of this study") if seen else assumed


def detectable(plan: Plan, ledger: Path | None = None) -> str:
    """The minimum detectable difference of the primary metric, in its unit and direction, in a sentence.

    Args:
        plan: the study.
        ledger: of final runs that the study has already, whose noise is taken then.
    """
    family = [a for a in plan.arms if not a.control and a.name != plan.study.reference]
    if not family or plan.study.reference not in {arm.name for arm in plan.arms}:
        return "No arm is compared with the reference: there is no difference to detect."
    pairs = plan.cohort.pairs()["patient"].value_counts()
    counts = plan.cohort.class_counts()
    worse, same, better = (float(n / counts.sum()) for n in counts)
    size, metric = plan.size, METRICS[plan.study.primary_metric]
    # What a ledger shows of noise is read with the metrics of three classes.
    ledger = ledger if plan.study.endpoint == "progression" else None
    noise, noise_from = noise_seen(ledger, plan.study.reference, [arm.name for arm in family])
    found = minimum_detectable(
        Design(
            patients=len(pairs),
            folds=size.folds,
            repeats=size.repeats,
            seeds=size.seeds,
            pairs=tuple(int(n) for n in pairs),
            classes=(worse, same, better),
        ),
        metric,
        arms=len(family),
        noise=noise,
    )
    setting = (
        f"{size.folds} folds, {size.repeats} repeats, {size.seeds} seeds, {len(family)} arms compared, "
        f"{len(pairs)} patients with pairs, {noise_from}"
    )
    return detectable_text(found, metric, setting, plan.study.reference)


def detectable_text(found: float | None, metric: ReportMetric, setting: str, reference: str) -> str:
    """The sentence on a minimum detectable difference.

    Args:
        found: the difference in the metric's unit, below zero where lower is better; None where none is.
        metric: the primary metric.
        setting: the size of the study, in words.
        reference: the arm that others are compared with.
    """
    if found is not None and metric.word(found) != "better":
        return (
            f"Minimum detectable difference: not known of {metric.label}, which does not get better where "
            "more pairs of every class are recognised, as in the simulated studies."
        )
    if found is None:
        return f"No difference in {metric.label} would be found in {POWER:.0%} of such studies ({setting})."
    than = "higher" if metric.higher_is_better else "lower"
    return (
        f"Minimum detectable difference: {metric.label} about {abs(found):.2g} {than}, which is better "
        f"({POWER:.0%} power by simulation of the decision rule, Holm included; {setting}). Arms that lie "
        f"closer to {reference} cannot be distinguished from it."
    )

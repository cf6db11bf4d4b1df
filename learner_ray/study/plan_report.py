"""What a study would cost, and the smallest difference that it could find, before anything runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from analysis.statistics.metrics import ReportMetric
from analysis.statistics.power import POWER
from learner_ray.core.durations import duration
from learner_ray.run.throughput import Throughput
from learner_ray.study.cost_estimate import ArmCost, estimate_cost
from learner_ray.study.plan import Plan
from learner_ray.study.sample_size import sample_size


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
    looks: int = 1
    """Looks at the results that are declared."""

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
        seconds, searched = self.device_seconds, sum(cost.search_seconds for cost in self.arm_costs)
        wall = searched / min(self.slots, self.plan.width) + (seconds - searched) / self.slots
        total = (
            f"In all {self.runs} runs, {duration(seconds)} of device time{self._timed}, about "
            f"{duration(wall)} with {self.slots} at a time{self._searching}; "
            f"{self.encoder_bytes / 1e9:.1f} GB of disk for final encoders."
        )
        known = [self.not_timed] if self._timed and self.not_timed else []
        return "\n".join([*rows, total, *known, detectable(self.plan, self.ledger, self.looks)])

    @property
    def _searching(self) -> str:
        """How many run at a time before the searches have ended, where it is fewer."""
        width = self.plan.width
        searches = any(cost.trials for cost in self.arm_costs)
        return f" ({width} while it searches)" if searches and width < self.slots else ""

    @property
    def _timed(self) -> str:
        """The devices whose pace is that of the costs; empty where no arm trains."""
        makes = sorted({measured.device for measured in self.throughput.values() if measured.device})
        return f" as measured on {' and '.join(makes)}" if makes else ""


def idle_devices(plan: Plan, slots: int) -> str:
    """What to do where a search leaves devices idle, in a sentence; empty where it fills them.

    Args:
        plan: the study.
        slots: runs that fit on the devices at a time.
    """
    searches = sum(bool(group.trials) for group in plan.groups)
    if not searches or plan.width >= slots:
        return ""
    wanted = min(-(-slots // searches), plan.size.trials)
    said = f"While it searches, {plan.width} of {slots} runs that fit on the devices can run at a time"
    if wanted <= plan.settings.parallel_trials:
        return f"{said}: there are no more trials"
    return f"{said}; a study with --parallel-trials {wanted} could fill them"


def detectable(plan: Plan, ledger: Path | None = None, looks: int = 1) -> str:
    """The minimum detectable difference of the primary metric, in its unit and direction, in a sentence.

    Args:
        plan: the study.
        ledger: of final runs that the study has already, whose noise is taken then.
        looks: at the results that are declared, each of which has its share of alpha.
    """
    found = sample_size(plan, ledger, looks=looks)
    if found is None:
        return "No arm is compared with the reference: there is no difference to detect."
    design = found.design
    setting = (
        f"{design.folds} folds, {design.repeats} repeats, {design.seeds} seeds, {found.arms} arms compared, "
        f"{design.patients} patients with pairs, {found.noise_from}"
        f"{f', one of {looks} looks' if looks > 1 else ''}"
    )
    return detectable_text(found.difference, found.metric, setting, plan.study.reference)


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

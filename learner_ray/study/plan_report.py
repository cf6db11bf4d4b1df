"""What a study would cost, and the smallest difference that it could find, before anything runs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from analysis.statistics.metrics import ReportMetric
from analysis.statistics.power import POWER
from learner_ray.core.durations import duration
from learner_ray.run.throughput import Throughput
from learner_ray.study.cost_estimate import ArmCost, estimate_cost, runs_left
from learner_ray.study.forecast import RunsLeft, makespan, most_trials
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
    untimed: str = ""
    """Why no device was timed, so that hours are not known, in a sentence; empty where one was."""
    not_timed: str = ""
    """Which devices the study may get that are perhaps of another make than the one timed; empty for none."""
    ledger: Path | None = None
    """The table of final runs that the study has already, whose noise tells what it could detect."""
    looks: int = 1
    """Looks at the results that are declared."""
    price_per_hour: float | None = None
    """Price of a device for an hour; None where it is not known."""
    hours: float = math.inf
    """Hours that the study may take."""
    device_hours: float = math.inf
    """Device hours that it may take."""

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
            f"{cost.finals:4d} final runs{self._hours(cost.device_seconds)}"
            for cost in self.arm_costs
        ]
        disk = f"{self.encoder_bytes / 1e9:.1f} GB of disk for final encoders."
        if self.untimed:
            total = f"In all {self.runs} runs, {self.slots} at a time; {disk}"
            return "\n".join([*rows, total, self.untimed, detectable(self.plan, self.ledger, self.looks)])
        total = (
            f"In all {self.runs} runs, {duration(self.device_seconds)} of device time{self._timed}, about "
            f"{duration(self.wall_seconds)} with {self.slots} at a time{self._in_use}; {disk}"
        )
        limits = [text for text in (self._price, self._within_limits) if text]
        known = [self.not_timed] if self._timed and self.not_timed else []
        return "\n".join([*rows, total, *limits, *known, detectable(self.plan, self.ledger, self.looks)])

    def _hours(self, device_seconds: float) -> str:
        return "" if self.untimed else f"  {duration(device_seconds)} of device time"

    @cached_property
    def _left(self) -> Mapping[str, RunsLeft]:
        return runs_left(self.plan, self.throughput)

    @cached_property
    def wall_seconds(self) -> float:
        """Seconds from the first start to the last end, if all devices are there throughout."""
        return makespan(self._left, self.slots)

    @property
    def _price(self) -> str:
        """What the devices cost, in a sentence; empty where no price is known."""
        if self.price_per_hour is None:
            return ""
        used = self.price_per_hour * self.device_seconds / 3600
        held = self.price_per_hour * self.wall_seconds * self.slots / 3600
        return (
            f"At {self.price_per_hour:g} per device and hour: {used:.2f} for the device time, {held:.2f} if "
            f"all {self.slots} are paid for to the end."
        )

    @property
    def _within_limits(self) -> str:
        """How many trials fit into the time, in a sentence; empty where there is no limit, or all fit."""

        def suffices_for(trials: int) -> bool:
            left = {name: replace(e, trials=min(trials, e.trials)) for name, e in self._left.items()}
            device_hours = sum(each.seconds for each in left.values()) / 3600
            return makespan(left, self.slots) / 3600 <= self.hours and device_hours <= self.device_hours

        planned = max(group.trials for group in self.plan.groups)
        if not planned or suffices_for(planned):
            return ""
        most = most_trials(planned, suffices_for)
        if not suffices_for(most):
            return "The time does not suffice, even with one trial of each search."
        return f"The time suffices for about {most} of {planned} trials of each search: they close there."

    @property
    def utilisation(self) -> float:
        """The share of the devices that is in use, on average until the last run ends."""
        return self.device_seconds / (self.wall_seconds * self.slots) if self.wall_seconds else 0.0

    @property
    def _in_use(self) -> str:
        """The share of the devices that is in use, and how many can be while it searches, where these are
        fewer than all."""
        if not self.wall_seconds:
            return ""
        said = f"{self.utilisation:.0%} of them in use"
        searches = any(cost.trials for cost in self.arm_costs)
        return (
            f", {said} ({width} while it searches)"
            if searches and (width := self.plan.width) < self.slots
            else f", {said}"
        )

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


def encoder_bytes(plan: Plan) -> int:
    """The size of the encoders that all final runs will keep."""
    from learner_ray.encoders.network import network_bytes

    seen = [group for group in plan.groups if group.config.progression.uses_encoder]
    sizes = [(g.settings.seeds, network_bytes(g.config.encoder, g.config.data.frames)) for g in seen]
    return sum(seeds * size for seeds, size in sizes)

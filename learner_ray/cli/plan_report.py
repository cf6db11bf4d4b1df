"""What ``--plan`` prints: trainings, hours, disk, and the smallest difference that the study could find."""

from __future__ import annotations

from collections.abc import Mapping

from analysis.statistics.power import POWER, minimum_detectable
from analysis.statistics.simulated_studies import Design
from learner_ray.engine.progress import duration
from learner_ray.run.throughput import Throughput
from learner_ray.study.cost_estimate import estimate_cost
from learner_ray.study.plan import Plan


def encoder_bytes(plan: Plan) -> int:
    """What the encoders of all final runs take of a disk; all else in a run's folder is small beside them."""
    from learner_ray.encoders.network import network_bytes

    seen = [group for group in plan.groups if group.config.progression.uses_encoder]
    return sum(
        group.settings.seeds * network_bytes(group.config.encoder, group.config.data.frames) for group in seen
    )


def plan_report(plan: Plan, throughput: Mapping[str, Throughput], slots: int) -> str:
    """The cost of a plan and what it can tell apart, in words.

    Args:
        plan: what would run.
        throughput: measured on this machine, by encoder.
        slots: runs at a time.
    """
    costs = estimate_cost(plan, throughput)
    seconds = sum(cost.device_seconds for cost in costs)
    width = max(len(cost.arm) for cost in costs)
    rows = [
        f"  {cost.arm:{width}}  {cost.trials:5d} trials  {cost.audits:4d} audits  "
        f"{cost.finals:4d} final runs  "
        f"{duration(cost.device_seconds)} of device time"
        for cost in costs
    ]
    return "\n".join(
        [
            *rows,
            f"In all {plan.runs} runs, {duration(seconds)} of device time as measured here, about "
            f"{duration(seconds / slots)} with {slots} at a time; {encoder_bytes(plan) / 1e9:.1f} GB of "
            "disk for final encoders.",
            detectable(plan),
        ]
    )


def detectable(plan: Plan) -> str:
    """The minimum detectable difference of the primary metric, in a sentence."""
    family = [a for a in plan.arms if not a.control and a.name != plan.study.reference]
    if not family or plan.study.reference not in {arm.name for arm in plan.arms}:
        return "No arm is compared with the reference: there is no difference to detect."
    pairs = plan.cohort.pairs()["patient"].value_counts()
    counts = plan.cohort.class_counts()
    worse, same, better = (float(n / counts.sum()) for n in counts)
    size = plan.size
    found = minimum_detectable(
        Design(
            patients=len(pairs),
            folds=size.folds,
            repeats=size.repeats,
            seeds=size.seeds,
            arms=len(family),
            pairs=tuple(int(n) for n in pairs),
            classes=(worse, same, better),
        )
    )
    setting = (
        f"{size.folds} folds, {size.repeats} repeats, {size.seeds} seeds, {len(family)} arms compared, "
        f"{len(pairs)} patients with pairs"
    )
    if found is None:
        return f"No difference in macro-F1 would be found in {POWER:.0%} of such studies ({setting})."
    return (
        f"Minimum detectable difference: about {found:.2f} macro-F1 ({POWER:.0%} power by simulation of the "
        f"decision rule, Holm included; {setting}). Arms that lie closer to {plan.study.reference} cannot be "
        "told from it."
    )

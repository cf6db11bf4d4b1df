"""How many runs share a GPU: one that trains a small network leaves most of it idle."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import ray
from ray.util.placement_group import placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from learner_ray.engine.connection import NODE_STARTS_S
from learner_ray.run.spec import RunSpec

if TYPE_CHECKING:
    from learner_ray.training.throughput import Stint

logger = logging.getLogger(__name__)

MOST = 4
"""Runs tried side by side."""
WORTH = 1.1
"""What one more must bring: each run takes longer, and a search learns less from more at a time."""
FILL = 0.8
"""Of a GPU's memory, at most: other arms may need more than the one that was measured."""
SECONDS = 15.0
"""Of training that is timed; they begin some seconds apart."""


@dataclass(frozen=True, kw_only=True)
class Together:
    """What some runs on one GPU did side by side."""

    runs: int
    scans_per_s: float
    """Of all."""
    memory: float
    """Part of the GPU's that all took."""

    @classmethod
    def of(cls, stints: Sequence[Stint]) -> Together:
        """Counts only the time in which all trained."""
        begin = max(stint.steps[0].begin for stint in stints)
        end = min(stint.steps[-1].end for stint in stints)
        scans = sum(
            step.scans * max(0.0, min(step.end, end) - max(step.begin, begin)) / (step.end - step.begin)
            for stint in stints
            for step in stint.steps
        )
        memory = max((s.memory / s.capacity for s in stints if s.capacity), default=0.0)
        rate = scans / (end - begin) if end > begin else 0.0
        return cls(runs=len(stints), scans_per_s=rate, memory=memory)

    def __str__(self) -> str:
        runs = "1 run" if self.runs == 1 else f"{self.runs} runs"
        return f"{runs} on a GPU: {self.scans_per_s:.0f} scans/s, {self.memory:.0%} of its memory"


def part(share: int) -> float:
    """Of a GPU, for each run. Ray counts ten-thousandths, and all parts must fit into one."""
    return math.floor(10_000 / share) / 10_000


def measure_sharing(spec: RunSpec) -> int:
    """How many runs like this one a GPU, here or on the cluster that was joined, should train at a time."""
    share = choose(lambda runs: _side_by_side(spec, runs), MOST)
    logger.info(f"{share} {'run' if share == 1 else 'runs'} at a time on each GPU")
    return share


def choose(measure: Callable[[int], Together | None], most: int) -> int:
    """The largest number up to which every further run was worth it.

    Args:
        measure: some runs side by side; None where they cannot be.
        most: the largest number tried.
    """
    best = measure(1)
    if best is None:
        return 1
    logger.info(best)
    alone = best.memory
    while best.runs < most and (best.runs + 1) * alone <= FILL:
        found = measure(best.runs + 1)
        if found is None:
            break
        logger.info(found)
        if found.scans_per_s < WORTH * best.scans_per_s:
            break
        best = found
    return best.runs


def _side_by_side(spec: RunSpec, runs: int) -> Together | None:
    from learner_ray.training.throughput import train_for

    group = placement_group([{"CPU": 1, "GPU": 1}])
    here = PlacementGroupSchedulingStrategy(group)
    # Each call in a process of its own, which gives back the GPU's memory.
    planned = ray.remote(num_cpus=part(runs), num_gpus=part(runs), max_calls=1, max_retries=0)(train_for)
    planned = planned.options(scheduling_strategy=here)
    try:
        ray.get(group.ready(), timeout=NODE_STARTS_S)
        return Together.of(ray.get([planned.remote(spec, SECONDS) for _ in range(runs)]))
    except ray.exceptions.RayError as error:
        logger.info(f"{runs} runs on one GPU were not measured: {_last_line(error)}")
        return None
    finally:
        remove_placement_group(group)


def _last_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[-1]

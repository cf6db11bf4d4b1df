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
from learner_ray.engine.faults import last_line
from learner_ray.run.spec import RunSpec

if TYPE_CHECKING:
    from learner_ray.training.throughput import TimedTraining

logger = logging.getLogger(__name__)

MAX_RUNS_PER_GPU = 4
"""The largest number of runs that is tried side by side on a GPU."""
MIN_SPEEDUP = 1.1
"""How much faster one more run must make all of them together. Each run then takes longer, and a search
learns less from more trials at a time."""
MAX_MEMORY_FRACTION = 0.8
"""The largest part of a GPU's memory that is planned for: other arms may need more than the one measured."""
TIMED_SECONDS = 15.0
"""Seconds of training that are timed; the processes begin some seconds apart."""


@dataclass(frozen=True, kw_only=True)
class SharingMeasurement:
    """How fast some runs trained side by side on one GPU."""

    runs: int
    scans_per_s: float
    """Scans per second of all runs together."""
    memory: float
    """The part of the GPU's memory that all runs took, 0 to 1."""

    @classmethod
    def of(cls, timings: Sequence[TimedTraining]) -> SharingMeasurement:
        """Measures the epochs that lie wholly in the time in which all processes trained, and no other: one
        that was trained in part alone says nothing of that time. Where some process has no such epoch, since
        they began more than an epoch apart, nothing is known: 0 scans per second."""
        begin = max(timed.epochs[0].begin for timed in timings)
        end = min(timed.epochs[-1].end for timed in timings)
        rates = [_scans_per_s(timed, begin, end) for timed in timings]
        memory = max((s.memory / s.capacity for s in timings if s.capacity), default=0.0)
        return cls(runs=len(timings), scans_per_s=sum(rates) if all(rates) else 0.0, memory=memory)

    def __str__(self) -> str:
        runs = "1 run" if self.runs == 1 else f"{self.runs} runs"
        speed = f"{self.scans_per_s:.0f} scans/s" if self.scans_per_s else "no epoch that all trained through"
        return f"{runs} on a GPU: {speed}, {self.memory:.0%} of its memory"


def _scans_per_s(timed: TimedTraining, begin: float, end: float) -> float:
    """The speed of one process in its epochs between two times; 0 where it has none."""
    inside = [epoch for epoch in timed.epochs if begin <= epoch.begin and epoch.end <= end]
    seconds = sum(epoch.end - epoch.begin for epoch in inside)
    return sum(epoch.scans for epoch in inside) / seconds if seconds else 0.0


def gpu_fraction(share: int) -> float:
    """The part of a GPU that each of ``share`` runs asks for. Ray counts ten-thousandths of a GPU, and all
    parts must fit into one."""
    return math.floor(10_000 / share) / 10_000


def measure_sharing(spec: RunSpec) -> int:
    """Measures how many runs like this one a GPU should train at a time, here or on the cluster that was
    joined."""
    share = choose_runs_per_gpu(lambda runs: _measure_side_by_side(spec, runs), MAX_RUNS_PER_GPU)
    logger.info(f"{share} {'run' if share == 1 else 'runs'} at a time on each GPU")
    return share


def choose_runs_per_gpu(measure: Callable[[int], SharingMeasurement | None], most: int) -> int:
    """Chooses the largest number of runs up to which each further run made all of them together faster.

    Args:
        measure: trains so many runs side by side; None where they cannot be.
        most: the largest number tried.
    """
    best = measure(1)
    if best is None:
        return 1
    logger.info(best)
    alone = best.memory
    while best.runs < most and (best.runs + 1) * alone <= MAX_MEMORY_FRACTION:
        found = measure(best.runs + 1)
        if found is None:
            break
        logger.info(found)
        if found.scans_per_s < MIN_SPEEDUP * best.scans_per_s:
            break
        best = found
    return best.runs


def _measure_side_by_side(spec: RunSpec, runs: int) -> SharingMeasurement | None:
    from learner_ray.training.throughput import train_for

    group = placement_group([{"CPU": 1, "GPU": 1}])
    here = PlacementGroupSchedulingStrategy(group)
    # Each call in a process of its own, which gives back the GPU's memory.
    share = gpu_fraction(runs)
    timed = ray.remote(num_cpus=share, num_gpus=share, max_calls=1, max_retries=0)(train_for)
    timed = timed.options(scheduling_strategy=here)
    try:
        ray.get(group.ready(), timeout=NODE_STARTS_S)
        return SharingMeasurement.of(ray.get([timed.remote(spec, TIMED_SECONDS) for _ in range(runs)]))
    except ray.exceptions.RayError as error:
        logger.info(f"{runs} runs on one GPU were not measured: {last_line(error)}")
        return None
    finally:
        remove_placement_group(group)

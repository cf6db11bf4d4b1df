"""How runs share a GPU, since one that trains a small network leaves most of it idle.

Two ways: a process for each run, or one process that trains all, each in a thread on a CUDA stream. The rule:
each way takes one more run as long as that makes all together faster by ``MIN_SPEEDUP`` and fits into
``MAX_MEMORY_FRACTION``; of the two bests the faster is taken, of equal ones the processes.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import ray
from ray.util.placement_group import placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from learner_ray.engine.autoscaled import NODE_STARTS_S
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


MPS_PIPE = Path("/tmp/nvidia-mps/control")
"""The control pipe of NVIDIA's MPS, where ``CUDA_MPS_PIPE_DIRECTORY`` names no other folder."""


@dataclass(frozen=True, kw_only=True)
class Sharing:
    """How runs share a GPU."""

    runs: int = 1
    """Runs at a time on each GPU."""
    in_one_process: bool = False
    """Whether one process trains them all."""

    def __str__(self) -> str:
        if self.runs == 1:
            return "1 run at a time on each GPU"
        return f"{self.runs} runs at a time on each GPU, {way_name(self.in_one_process)}"


def way_name(in_one_process: bool) -> str:
    """What messages call a way of sharing."""
    return "in one process" if in_one_process else "each in a process"


@dataclass(frozen=True, kw_only=True)
class SharingMeasurement:
    """How fast some runs trained side by side on one GPU."""

    runs: int
    scans_per_s: float
    """Scans per second of all runs together."""
    memory: float
    """The part of the GPU's memory that all runs took, 0 to 1."""
    in_one_process: bool = False
    """Whether one process trained them all."""

    @classmethod
    def of(cls, timings: Sequence[TimedTraining], *, in_one_process: bool = False) -> SharingMeasurement:
        """Measures the epochs that lie wholly in the time in which all runs trained, and no other: one
        that was trained in part alone says nothing of that time. Where some run has no such epoch, since they
        began more than an epoch apart, nothing is known: 0 scans per second."""
        begin = max(timed.epochs[0].begin for timed in timings)
        end = min(timed.epochs[-1].end for timed in timings)
        rates = [_scans_per_s(timed, begin, end) for timed in timings]
        memory = max((s.memory / s.capacity for s in timings if s.capacity), default=0.0)
        rate = sum(rates) if all(rates) else 0.0
        return cls(runs=len(timings), scans_per_s=rate, memory=memory, in_one_process=in_one_process)

    def __str__(self) -> str:
        runs = "1 run" if self.runs == 1 else f"{self.runs} runs"
        speed = f"{self.scans_per_s:.0f} scans/s" if self.scans_per_s else "no epoch that all trained through"
        way = "" if self.runs == 1 else f", {way_name(self.in_one_process)}"
        return f"{runs} on a GPU{way}: {speed}, {self.memory:.0%} of its memory"


def _scans_per_s(timed: TimedTraining, begin: float, end: float) -> float:
    """The speed of one process in its epochs between two times; 0 where it has none."""
    inside = [epoch for epoch in timed.epochs if begin <= epoch.begin and epoch.end <= end]
    seconds = sum(epoch.end - epoch.begin for epoch in inside)
    return sum(epoch.scans for epoch in inside) / seconds if seconds else 0.0


def gpu_fraction(share: int) -> float:
    """The part of a GPU that each of ``share`` runs asks for. Ray counts ten-thousandths of a GPU, and all
    parts must fit into one."""
    return math.floor(10_000 / share) / 10_000


Ways = Sequence[bool]
"""Ways of sharing, each as whether one process trains all; the known one first."""
BOTH: Ways = (False, True)

Measure = Callable[[int, bool], SharingMeasurement | None]
"""Trains so many runs side by side, in one process or not; None where they cannot be."""


def measure_sharing(spec: RunSpec, runs: int | None = None, *, ways: Ways = BOTH) -> Sharing:
    """Measures how runs like this one should share a GPU, here or on the cluster that was joined.

    Args:
        spec: a run to measure with.
        runs: how many share a GPU, where somebody has said; then the way alone is measured.
        ways: the ways that are open to the study's runs.
    """
    if mps_is_on():
        logger.info("NVIDIA's MPS is on: processes that share a GPU run at the same time")

    def measure(many: int, in_one_process: bool) -> SharingMeasurement | None:
        return _measure_side_by_side(spec, many, in_one_process=in_one_process)

    sharing = (
        choose_sharing(measure, MAX_RUNS_PER_GPU, ways) if runs is None else choose_way(measure, runs, ways)
    )
    logger.info(str(sharing))
    return sharing


def mps_is_on() -> bool:
    """Whether the user has started NVIDIA's MPS on this machine."""
    return "CUDA_MPS_PIPE_DIRECTORY" in os.environ or MPS_PIPE.exists()


def choose_sharing(measure: Measure, most: int, ways: Ways = BOTH) -> Sharing:
    """Chooses the number of runs and the way, by the rule above.

    Args:
        measure: trains some runs and measures them.
        most: the largest number tried.
        ways: the ways tried.
    """
    alone = measure(1, False)
    if alone is None:
        return Sharing()
    logger.info(alone)
    return _faster([_best_of_way(measure, alone, most, in_one_process=way) for way in ways], 1)


def choose_way(measure: Measure, runs: int, ways: Ways = BOTH) -> Sharing:
    """Chooses the way for so many runs on a GPU."""
    found = [measure(runs, way) for way in ways]
    measured = [one for one in found if one is not None]
    for one in measured:
        logger.info(one)
    return _faster(measured, runs)


def _faster(found: Sequence[SharingMeasurement], runs: int) -> Sharing:
    """The fastest, of equals the first; separate processes where nothing was measured."""
    best = max(found, key=lambda one: one.scans_per_s, default=None)
    return Sharing(runs=best.runs, in_one_process=best.in_one_process) if best else Sharing(runs=runs)


def _best_of_way(
    measure: Measure, alone: SharingMeasurement, most: int, *, in_one_process: bool
) -> SharingMeasurement:
    """The largest number of runs up to which each further run made all of them together faster."""
    best = alone
    while best.runs < most and (best.runs + 1) * alone.memory <= MAX_MEMORY_FRACTION:
        found = measure(best.runs + 1, in_one_process)
        if found is None:
            break
        logger.info(found)
        if found.scans_per_s < MIN_SPEEDUP * best.scans_per_s:
            break
        best = found
    return best


def _measure_side_by_side(spec: RunSpec, runs: int, *, in_one_process: bool) -> SharingMeasurement | None:
    from learner_ray.training.side_by_side import train_all_for

    group = placement_group([{"CPU": 1, "GPU": 1}])
    # Each call in a process of its own, which gives back the GPU's memory.
    processes, each = (1, runs) if in_one_process else (runs, 1)
    share = gpu_fraction(processes)
    timed = ray.remote(num_cpus=share, num_gpus=share, max_calls=1, max_retries=0)(train_all_for)
    timed = timed.options(scheduling_strategy=PlacementGroupSchedulingStrategy(group))
    try:
        ray.get(group.ready(), timeout=NODE_STARTS_S)
        timings = ray.get([timed.remote(spec, each, TIMED_SECONDS) for _ in range(processes)])
        return SharingMeasurement.of([*chain(*timings)], in_one_process=in_one_process)
    except ray.exceptions.RayError as error:
        way = way_name(in_one_process)
        logger.info(f"{runs} runs on one GPU, {way}, were not measured: {last_line(error)}")
        return None
    finally:
        remove_placement_group(group)

"""What is timed is training at its pace, not its first steps."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from learner_ray.training.process import make_deterministic
from learner_ray.training.throughput import (
    GPU_WARM_UP_STEPS,
    MIN_TIMED_EPOCHS,
    measure_throughput,
    train_for,
    warm_up_epochs,
)
from tests.training.test_run import TRIAL, spec


def test_a_gpu_has_captured_its_step_before_an_epoch_counts() -> None:
    assert warm_up_epochs(1, "cpu") == warm_up_epochs(500, "cpu") == warm_up_epochs(500, "cuda") == 1
    for steps in (1, 3, 5, 31):
        assert warm_up_epochs(steps, "cuda") * steps >= GPU_WARM_UP_STEPS


@pytest.mark.slow
def test_at_least_two_epochs_are_timed_one_after_the_other(manifest: Path) -> None:
    """Of a schedule of two: it begins again, and no epoch is beyond its end."""
    timed = train_for(spec(manifest, TRIAL, train__epochs=2, train__deterministic=False), seconds=0.0)
    # With the run's own settings: other kernels have another pace.
    assert torch.backends.cudnn.benchmark and not torch.are_deterministic_algorithms_enabled()
    make_deterministic(1)
    assert len(timed.epochs) == MIN_TIMED_EPOCHS
    first, second = timed.epochs
    assert first.begin < first.end == second.begin < second.end
    assert first.scans == second.scans == 4 * len(TRIAL.pretrain)


@pytest.mark.slow
def test_the_device_that_was_timed_has_a_name_and_one_epoch_is_enough(manifest: Path) -> None:
    measured = measure_throughput(spec(manifest, TRIAL, train__epochs=1))
    assert measured.train_per_scan > 0 and measured.evaluate_per_scan > 0
    assert measured.device

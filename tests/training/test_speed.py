"""Rows say how fast an epoch went and how much of the device it used."""

from __future__ import annotations

import time

import pytest
import torch

from learner_ray.run.progress import without_clock
from learner_ray.training import speed
from learner_ray.training.speed import Utilisation, model_of, training_speed


def test_scans_count_once_and_waiting_is_a_share() -> None:
    assert training_speed(scans=30, seconds=2.0, waited=0.5) == {
        "speed/scans_per_s": 15.0,
        "speed/data_wait": 0.25,
    }
    assert training_speed(scans=30, seconds=1.0, waited=1.01)["speed/data_wait"] == 1.0
    assert training_speed(scans=0, seconds=0.0, waited=0.0) == {}


def test_a_processor_that_sleeps_is_hardly_used_and_one_that_works_is() -> None:
    with Utilisation("cpu") as idle:
        time.sleep(0.2)
    with Utilisation("cpu") as busy:
        until = time.process_time() + 0.2
        while time.process_time() < until:
            pass
    asleep, at_work = (used.row()["speed/utilisation"] for used in (idle, busy))
    assert 0 <= asleep < 0.3 * at_work and at_work <= 1


def test_a_gpus_samples_are_averaged_and_one_is_taken_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = iter([0.2, 0.4, 0.9])
    monkeypatch.setattr(speed, "gpu_utilisation", lambda device: next(samples))
    with Utilisation("cuda:0") as used:
        pass
    assert used.row() == {"speed/utilisation": 0.2}


def test_a_driver_that_does_not_tell_is_no_error() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a driver that tells")
    with Utilisation("cuda:0") as used:
        pass
    assert used.row() == {}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_has_its_cards_name_and_a_share_if_any() -> None:
    assert model_of("cuda") == torch.cuda.get_device_name()
    with Utilisation("cuda") as used:
        torch.ones(8, device="cuda").sum().item()
    assert all(0 <= share <= 1 for share in used.row().values())


def test_the_clock_is_left_out_where_runs_are_compared() -> None:
    row = {"epoch": 1, "train/loss": 0.5, "seconds/train": 1.0, "speed/scans_per_s": 9.0, "devices": 2}
    assert without_clock(row) == {"epoch": 1, "train/loss": 0.5}

"""When a run has failed, when a device is put aside, and when the study stops."""

from __future__ import annotations

from dataclasses import replace

import pytest

from learner_ray.engine.attempts import PATIENCE, Attempts, Verdict
from learner_ray.engine.faults import DIED, Fault, Kind

DEATH = Fault(kind=Kind.DEATH, reason=DIED)
HUNG = Fault(kind=Kind.DEATH, reason="hung: no epoch within 90 s", hung=True)
LOST = Fault(kind=Kind.NODE, reason="its node was taken away")
MEMORY = Fault(kind=Kind.MEMORY, reason="MemoryError")
AGAIN, LATER, ALONE = Verdict(), Verdict(last=True), Verdict(alone=True)


def raised(message: str = "ValueError: planted", process: str = "a") -> Fault:
    return Fault(kind=Kind.RUN, reason=message, type="ValueError", raised_at=message, process=process)


def device_error(device: str) -> Fault:
    return Fault(kind=Kind.DEVICE, reason="RuntimeError: CUDA error", type="RuntimeError", device=device)


def attempts(devices: int = 2) -> Attempts:
    return Attempts(lambda: devices)


def test_the_same_exception_in_two_processes_is_the_run_s_own_fault() -> None:
    study = attempts()
    assert study.judge("run", raised(process="a")) == AGAIN
    assert study.judge("run", raised(process="a")) == AGAIN, "the process may be what is broken"
    assert study.judge("run", raised("ValueError: another", process="b")) == AGAIN
    assert study.judge("run", raised(process="c")).failed == "ValueError: planted"


def test_what_was_before_an_epoch_never_reached_does_not_count() -> None:
    study = attempts()
    study.epoch("run", 3, "gpu")
    for number in range(4, 4 + 2 * PATIENCE):
        assert not study.judge("run", DEATH).failed
        study.epoch("run", number, "gpu")
    assert not study.judge("run", DEATH).failed
    study.epoch("run", 2, "gpu")  # begun anew from an older checkpoint
    assert study.judge("run", DEATH).failed == f"{DIED}, 2 times"


def test_two_deaths_without_a_new_epoch_are_too_many() -> None:
    study = attempts()
    assert study.judge("run", HUNG) == AGAIN
    assert study.judge("run", DEATH).failed == f"{HUNG.reason}; then {DIED}, 2 times"
    assert not study.judge("another", DEATH).failed


def test_a_death_that_may_have_been_for_memory_is_tried_again_alone() -> None:
    study = attempts()
    assert study.judge("run", DEATH) == ALONE
    assert study.judge("run", MEMORY).failed == "MemoryError, alone on its device"


def test_memory_is_the_run_s_own_fault_once_nothing_runs_beside_it() -> None:
    study = attempts()
    assert study.judge("run", MEMORY) == ALONE
    assert study.judge("run", LOST) == AGAIN
    assert study.judge("run", MEMORY) == ALONE, "it was not alone any more"
    assert study.judge("run", MEMORY).failed


def test_lost_nodes_do_not_count_but_do_not_go_on_for_ever() -> None:
    study = attempts()
    for _ in range(PATIENCE - 1):
        assert study.judge("run", LOST) == AGAIN
    stops = study.judge("run", LOST).stops
    assert stops == f"run: its node was taken away, {PATIENCE} times without an epoch between"


@pytest.mark.parametrize("kind", [Kind.PLACE, Kind.STORAGE])
def test_what_all_runs_need_stops_the_study_at_once(kind: Kind) -> None:
    verdict = attempts().judge("run", Fault(kind=kind, reason="/data/manifest.csv does not exist"))
    assert verdict == Verdict(stops="/data/manifest.csv does not exist")


def test_a_device_error_that_follows_the_run_is_the_run_s() -> None:
    study = attempts()
    assert study.judge("run", device_error("gpu 0")) == LATER
    assert study.judge("run", device_error("gpu 1")).failed == "RuntimeError: CUDA error, on two devices"
    assert study.judge("another", device_error("gpu 1")) == LATER, "what that run did is not held against it"


def test_a_device_error_that_hits_two_runs_is_the_device_s() -> None:
    study = attempts()
    assert study.judge("one", device_error("gpu 0")) == LATER
    assert study.judge("two", device_error("gpu 0")).aside == "gpu 0"
    assert study.aside == {"gpu 0"}
    assert study.judge("one", device_error("gpu 1")) == LATER, "the first was not its own fault"


def test_the_only_device_is_not_put_aside() -> None:
    study = attempts(devices=1)
    study.judge("one", device_error("gpu 0"))
    verdict = study.judge("two", device_error("gpu 0"))
    assert not study.aside
    assert verdict.stops == "gpu 0 raises an error for every run: RuntimeError: CUDA error"


def test_the_only_device_is_used_as_long_as_it_finishes_epochs() -> None:
    study = attempts(devices=1)
    study.judge("one", device_error("gpu 0"))
    study.epoch("three", 1, "gpu 0")
    assert study.judge("two", device_error("gpu 0")) == LATER
    failed = study.judge("one", device_error("gpu 0")).failed
    assert failed == "RuntimeError: CUDA error, twice on a device that is well otherwise"


def test_a_device_that_is_put_aside_leaves_the_last_one() -> None:
    study = attempts(devices=2)
    for device in ("gpu 0", "gpu 1"):
        for run in ("one", "two"):
            verdict = study.judge(f"{run} of {device}", device_error(device))
    assert study.aside == {"gpu 0"} and verdict.stops.startswith("gpu 1")


def test_an_epoch_shown_again_after_a_restart_was_computed_nowhere() -> None:
    study = attempts(devices=1)
    study.judge("one", device_error("gpu 0"))
    study.epoch("one", 1, "")
    assert study.judge("two", replace(device_error("gpu 0"))).stops

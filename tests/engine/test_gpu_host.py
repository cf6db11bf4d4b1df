"""The host of a GPU trains several runs: whoever writes holds the lock, and a fault is the right run's."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from learner_ray.core.locks import HeldError
from learner_ray.engine import gpu_host
from learner_ray.engine.faults import Kind
from learner_ray.engine.gpu_host import GpuHost, HostedEpoch
from learner_ray.engine.hosted_trials import GpuHosts
from learner_ray.run.folder import RunFolder, locked
from learner_ray.study.runner import StudyRunner
from tests.engine.planted import claim, run_all, states, study
from tests.formula_runs import FormulaRun


@dataclass
class Counted:
    """A run whose epochs are numbers; ``goes`` is called in each."""

    folder: RunFolder
    goes: Callable[[str, int], None] = lambda name, epoch: None
    epochs: int = 0
    last_row: dict[str, Any] | None = None
    threads: set[int] = field(default_factory=set)

    def advance(self) -> dict[str, Any] | None:
        self.epochs += 1
        self.threads.add(threading.get_ident())
        self.goes(self.folder.path.name, self.epochs)
        return {"epoch": self.epochs, "threads": len(self.threads)}


def asked(root: Path, name: str, trial: str, process: int | None = None) -> HostedEpoch:
    return HostedEpoch(trial=trial, process=process or os.getpid(), folder=str(root / name), share=0.5)


def is_locked(folder: Path) -> bool:
    try:
        with locked(RunFolder(folder)):
            return False
    except HeldError:
        return True


@pytest.fixture(autouse=True)
def keeps_the_gpus_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


def test_two_runs_are_trained_at_the_same_time_each_in_one_thread(tmp_path: Path) -> None:
    both = threading.Barrier(2)

    async def scenario() -> None:
        host = GpuHost("", "host", lambda folder, share: Counted(folder, lambda *_: both.wait(5) and None))
        for epoch in (1, 2):
            results = await asyncio.gather(
                host.train_epoch(asked(tmp_path, "a", "t1")), host.train_epoch(asked(tmp_path, "b", "t2"))
            )
            assert [result.row for result in results] == [{"epoch": epoch, "threads": 1}] * 2
        assert is_locked(tmp_path / "a") and is_locked(tmp_path / "b")
        await host.let_go("t1")
        assert not is_locked(tmp_path / "a") and is_locked(tmp_path / "b")

    asyncio.run(scenario())


def test_an_error_of_one_run_is_that_run_s_and_the_next_attempt_counts_as_another_process(
    tmp_path: Path,
) -> None:
    def goes(name: str, epoch: int) -> None:
        if name == "a":
            raise ValueError("planted")

    async def scenario() -> None:
        host = GpuHost("", "host", lambda folder, share: Counted(folder, goes))
        await host.train_epoch(asked(tmp_path, "b", "t2"))
        faults = [(await host.train_epoch(asked(tmp_path, "a", trial))).fault for trial in ("t1", "t3")]
        assert [fault and fault.kind for fault in faults] == [Kind.RUN] * 2
        assert faults[0] and faults[1] and faults[0].process != faults[1].process
        assert not is_locked(tmp_path / "a")
        assert (await host.train_epoch(asked(tmp_path, "b", "t2"))).row == {"epoch": 2, "threads": 1}

    asyncio.run(scenario())


def test_a_run_whose_trial_was_killed_has_one_writer_and_is_dropped_after_its_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu_host, "LOOK_S", 0.01)
    goes_on = threading.Event()
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()

    async def scenario() -> None:
        opened = []

        def open_run(folder: RunFolder, share: float) -> Counted:
            opened.append(folder)
            return Counted(folder, lambda *_: goes_on.wait(5) and None)

        here, elsewhere = GpuHost("", "here", open_run), GpuHost("", "elsewhere", open_run)
        first = asyncio.create_task(here.train_epoch(asked(tmp_path, "a", "t1", process=ended.pid)))
        await asyncio.sleep(0.05)
        for host in (here, elsewhere):
            again = await host.train_epoch(asked(tmp_path, "a", "t2"))
            assert again.held_elsewhere and len(opened) == 1
        goes_on.set()
        await first
        assert await here.runs_in_hand() == 0 and not is_locked(tmp_path / "a")
        assert (await elsewhere.train_epoch(asked(tmp_path, "a", "t2"))).row == {"epoch": 1, "threads": 1}

    asyncio.run(scenario())


def test_a_run_between_two_epochs_whose_trial_was_killed_is_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu_host, "LOOK_S", 0.01)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()

    async def scenario() -> None:
        host = GpuHost("", "host", lambda folder, share: Counted(folder))
        await host.train_epoch(asked(tmp_path, "a", "t1", process=ended.pid))
        await asyncio.sleep(0.1)
        assert await host.runs_in_hand() == 0 and not is_locked(tmp_path / "a")

    asyncio.run(scenario())


@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize(
    "error", ["an illegal memory access was encountered", "device-side assert triggered"]
)
def test_an_error_of_the_gpu_ends_the_host_and_beside_others_is_nobody_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, beside: bool, error: str
) -> None:
    monkeypatch.setattr(gpu_host, "ENDS_AFTER_S", 0.0)
    ends = []
    monkeypatch.setattr(GpuHost, "_end", lambda self: ends.append(self))
    goes_on = threading.Event()

    def goes(name: str, epoch: int) -> None:
        if name == "a":
            raise RuntimeError(f"CUDA error: {error}")
        goes_on.wait(5)

    async def scenario() -> None:
        host = GpuHost("", "host", lambda folder, share: Counted(folder, goes))
        neighbour = asyncio.create_task(host.train_epoch(asked(tmp_path, "b", "t2"))) if beside else None
        await asyncio.sleep(0.05)
        found = (await host.train_epoch(asked(tmp_path, "a", "t1"))).fault
        alone = Kind.RUN if "assert" in error else Kind.DEVICE
        assert found is not None and found.kind is (Kind.DEATH if beside else alone)
        assert error in found.reason and not await host.is_well()
        if neighbour is not None:
            assert (await neighbour).fault == found, "it waits for no epoch of a GPU that is broken"
        await asyncio.sleep(0.05)
        assert ends == [host]
        goes_on.set()

    asyncio.run(scenario())


def hosted(runner: StudyRunner, marks: Path, goes: Callable[[FormulaRun, Path], None], **more: Any) -> None:
    """Runs all that is left in hosts, two at a time on each GPU."""

    def open_run(folder: RunFolder, share: float) -> FormulaRun:
        class Planted(FormulaRun):
            def advance(self) -> dict[str, Any] | None:
                (marks / f"host-{os.getpid()}").touch()
                goes(self, marks)
                return super().advance()

        return Planted(folder)

    run_all(runner, 2, hosts=GpuHosts(open_run), **more)


def gone(process: int) -> bool:
    until = time.monotonic() + 10
    while Path(f"/proc/{process}").exists() and time.monotonic() < until:
        time.sleep(0.05)
    return not Path(f"/proc/{process}").exists()


@pytest.mark.ray
@pytest.mark.long
@pytest.mark.usefixtures("joined")
def test_when_their_host_is_killed_both_runs_are_tried_again_and_no_host_is_left(
    manifest: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()

    def goes(run: FormulaRun, marks: Path) -> None:
        claim(marks, f"begun-{run.spec.hash}")
        until = time.monotonic() + 30
        while len(list(marks.glob("begun-*"))) < 2 and time.monotonic() < until:
            time.sleep(0.02)
        if len(run.rows) == 1 and claim(marks, "killed"):
            os.kill(os.getpid(), 9)

    runner = study(manifest, tmp_path / "r", arms=("mse", "contrastive"), epochs=3)
    hosted(runner, marks, goes)
    assert set(states(runner).values()) == {"complete"} and len(states(runner)) == 2
    assert all([*outcome.scores] == [1, 2, 3] for outcome in runner.outcomes)
    hosts = [int(path.name.partition("-")[2]) for path in marks.glob("host-*")]
    assert len(hosts) == 2, "one was replaced by one"
    assert all(gone(process) for process in hosts)
    assert capfd.readouterr().out.count("starting it again") == 2

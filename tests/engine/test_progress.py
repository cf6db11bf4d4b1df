"""What is on the screen adds up."""

from __future__ import annotations

import re

import pytest

from learner_ray.engine.progress import Progress, duration
from learner_ray.study.fake_clock import Curve, MemoryStore, simulate
from learner_ray.study.planned_run import RunResult
from tests.study.small_study import curve, runner

RUNS = {"mse": 16, "contrastive": 16}
"""Of the small study: two folds of six trials and two final runs."""


class Watched(Progress):
    """Keeps the summary after every run."""

    def __init__(self) -> None:
        super().__init__(RUNS)
        self.seen: list[str] = []

    def on_end(self, outcome: RunResult) -> None:
        super().on_end(outcome)
        self.seen.append(self.summary(outcome))


def test_done_running_and_left_are_all_runs_at_any_time(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "learner_ray")
    progress = Watched()
    study = runner(MemoryStore(), callbacks=[progress])
    simulate(study, lambda spec: Curve(rows=curve(spec)), devices=3)
    for summary in progress.seen:
        rows = re.findall(r"(\d+) done +(\d+) running +(\d+) left +(\d+) failed", summary)
        assert [int(done) + int(running) + int(left) for done, running, left, _ in rows] == [16, 16]
    assert re.findall(r"(\d+) done +(\d+) running +(\d+) left", progress.seen[-1]) == [("16", "0", "0")] * 2
    used = sum(outcome.device_seconds for outcome in study.outcomes)
    assert f"device time: {duration(used)} used, about 0 s left" in progress.seen[-1]
    printed = caplog.messages
    assert len(printed) == 32 and printed[-1].startswith("32/32") and printed[-1].endswith("all done")


def test_failures_are_counted_and_give_their_reason(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "learner_ray")
    progress = Watched()
    study = runner(MemoryStore(), callbacks=[progress])

    def train(spec: object) -> Curve:
        return Curve(rows=iter(()), state="diverged", reason="the loss is nan in epoch 1")

    simulate(study, train, devices=2)
    assert "12 failed" in progress.seen[-1]
    assert "the loss is nan in epoch 1" in caplog.text

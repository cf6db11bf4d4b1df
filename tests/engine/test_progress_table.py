"""The table in a terminal adds up, stays one line per arm, and lets failures scroll."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from learner_ray.engine.progress_table import ProgressTable
from learner_ray.study.fake_clock import Curve, MemoryStore, simulate
from learner_ray.study.planned_run import RunResult
from tests.study.small_study import curve, runner

RUNS = {"mse": 16, "contrastive": 16}


def drawn(table: ProgressTable, encoding: str = "utf-8") -> str:
    """The table on a terminal of 100 columns."""
    console = Console(file=io.TextIOWrapper(io.BytesIO(), encoding=encoding), width=100, force_terminal=True)
    with console.capture() as shown:
        console.print(table)
    return shown.get()


class Watched(ProgressTable):
    """Keeps how the table looks after every run."""

    def __init__(self) -> None:
        super().__init__(RUNS)
        self.seen: list[str] = []

    def on_end(self, outcome: RunResult) -> None:
        super().on_end(outcome)
        self.seen.append(drawn(self))


def test_the_table_adds_up_and_runs_that_end_well_do_not_scroll(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "learner_ray")
    table = Watched()
    study = runner(MemoryStore(), callbacks=[table])
    simulate(study, lambda spec: Curve(rows=curve(spec)), devices=3)
    assert len(table.seen) == 32 and len({len(each.splitlines()) for each in table.seen}) == 1
    assert "1 of 32 runs" in table.seen[0] and "32 of 32 runs" in table.seen[-1]
    assert table.seen[-1].count("16/16") == 2 and caplog.messages == []


def test_failures_scroll_with_their_reason(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "learner_ray")
    study = runner(MemoryStore(), callbacks=[ProgressTable(RUNS)])
    simulate(study, lambda spec: Curve(rows=iter(()), state="diverged", reason="the loss is nan"), devices=2)
    assert len(caplog.messages) == 24 and all("the loss is nan" in message for message in caplog.messages)


def test_a_terminal_without_the_signs_gets_others() -> None:
    drawn(ProgressTable(RUNS), "ascii").encode("ascii")


def test_an_arm_may_be_called_as_markup_is() -> None:
    """Seen: an arm called ``mse [/old]`` ended the sweep before its first run."""
    shown = drawn(ProgressTable({"mse [/old]": 1, "[red]": 1}))
    assert "mse [/old]" in shown and "[red]" in shown


@pytest.mark.parametrize("term", ["dumb", ""])
def test_pipes_and_dumb_terminals_get_plain_lines(term: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from learner_ray.cli.live_table import live_table

    with live_table() as begin:  # the output of tests is no terminal
        assert begin is None
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("TERM", term)
    with live_table() as begin:
        assert begin is None

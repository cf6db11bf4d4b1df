"""Progress as a table with bars, for a terminal that draws it over and over."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from typing import Any

from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from learner_ray.core.durations import duration
from learner_ray.core.names import printable
from learner_ray.engine.progress import Progress
from learner_ray.run.states import ENDED_BADLY
from learner_ray.study.planned_run import PlannedRun, RunResult


class ProgressTable(Progress):
    """Shows one line for each arm, which stays where it is; of runs that end, only failures scroll.

    Args:
        runs: how many each arm has.
    """

    def __init__(self, runs: Mapping[str, int]) -> None:
        super().__init__(runs)
        self._drawing = threading.RLock()
        """The terminal draws in a thread of its own."""

    def on_start(self, planned: PlannedRun) -> None:
        """Counts a run as running."""
        with self._drawing:
            super().on_start(planned)

    def on_end(self, outcome: RunResult) -> None:
        """Counts a run that has ended, and shows its line where it failed."""
        with self._drawing:
            super().on_end(outcome)

    def _show(self, outcome: RunResult) -> None:
        if outcome.state in ENDED_BADLY:
            self._say(outcome)

    def __rich__(self) -> Any:
        """The table as Rich draws it."""
        with self._drawing:
            running = Counter(self._running.values())
            table = Table(box=None, pad_edge=False, expand=True, header_style="dim")
            for name, side in (("arm", "left"), ("", "left"), ("ended", "right"), ("running", "right")):
                table.add_column(name, justify=side, ratio=1 if not name else None)  # type: ignore[arg-type]
            table.add_column("failed", justify="right")
            table.add_column("best, inner patients", no_wrap=True)
            for arm, runs in self._runs.items():
                done, failed = self._done[arm], self._failed[arm]
                table.add_row(
                    Text(printable(arm)),  # not markup: an arm may be called [a]
                    _bar(runs, done),
                    f"{done}/{runs}",
                    str(running[arm] or ""),
                    f"[red]{failed}[/red]" if failed else "",
                    self._best_shown.get(arm, ""),
                )
            return self._with_total(table)

    def _with_total(self, table: Table) -> Table:
        done = self._done.total()
        left = "" if done == self._total else f", {self.left}"
        table.caption = f"{done} of {self._total} runs, {duration(self._device_seconds)} of device time{left}"
        table.caption_justify = "left"
        return table


def _bar(runs: int, done: int) -> ProgressBar:
    return ProgressBar(
        total=max(1, runs),
        completed=done,
        style="bright_black",  # a colour that terminals of 16 have, as the others
        complete_style="blue",
        finished_style="green",
    )

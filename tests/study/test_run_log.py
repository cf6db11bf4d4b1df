"""The run log says of every run when it began and how it ended, and ends no study."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from learner_ray.study.fake_clock import Curve, MemoryStore, simulate
from learner_ray.study.run_log import RunLog
from learner_ray.study.study_json import RUN_LOG
from tests.study.small_study import curve, run, runner


def lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / RUN_LOG).read_text().splitlines()]


def test_every_run_begins_once_and_ends_as_its_result_says(tmp_path: Path) -> None:
    study = runner(tmp_path, callbacks=[RunLog(tmp_path)])
    run(study)
    found = lines(tmp_path)
    planned = {
        f"{s.group.name}/{o.planned.label.rpartition('/')[2]}"
        for s in study.groups.values()
        for o in s.outcomes
    }
    assert (
        sum(sum(n[role] for role in ("trials", "audits", "finals")) for n in found[0]["searches"].values())
        == 32
    )
    assert sorted(line["start"] for line in found if "start" in line) == sorted(planned)
    ended = {line["end"]: line for line in found if "end" in line}
    for outcome in study.outcomes:
        line = ended[outcome.planned.label]
        assert (line["state"], line["epochs"], line["hash"]) == (
            outcome.state, outcome.epochs, outcome.planned.spec.hash
        )  # fmt: skip
        assert line["selection_score"] == (None if outcome.planned.final else outcome.selection_score)


def test_a_second_start_begins_the_log_anew_with_what_has_ended(tmp_path: Path) -> None:
    run(runner(tmp_path, callbacks=[RunLog(tmp_path)]), at_most=5)
    runner(tmp_path, callbacks=[RunLog(tmp_path)]).resume()
    found = lines(tmp_path)
    assert [len([line for line in found if kind in line]) for kind in ("searches", "end")] == [1, 5]
    assert all("at" not in line for line in found if "end" in line)  # nobody knows when


def test_a_search_without_a_complete_trial_is_lost(tmp_path: Path) -> None:
    study = runner(MemoryStore(), callbacks=[RunLog(tmp_path)], development=True)
    simulate(study, lambda spec: Curve(rows=iter(()), state="diverged", reason="nan"), devices=2)
    assert sorted(line["lost"] for line in lines(tmp_path) if "lost" in line) == sorted(study.groups)


def test_a_log_that_cannot_be_written_is_said_once_and_ends_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    study = runner(MemoryStore(), callbacks=[RunLog(tmp_path)])
    (tmp_path / RUN_LOG).unlink()
    (tmp_path / RUN_LOG).mkdir()
    simulate(study, lambda spec: Curve(rows=curve(spec)), devices=2)
    assert study.is_done and caplog.text.count("cannot be written") == 1

"""A fault of the world costs no run, and a run's own fault costs no other."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from learner_ray.core.errors import PlaceError, UserError
from learner_ray.engine import searcher
from learner_ray.run.folder import ERROR, locked
from tests.engine.planted import claim, go, states, study
from tests.formula_runs import FormulaRun

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("joined")]


@pytest.fixture
def marks(tmp_path: Path) -> Path:
    """Where processes leave what the next ones are to know."""
    (tmp_path / "marks").mkdir()
    return tmp_path / "marks"


@pytest.mark.long
def test_a_run_killed_five_times_each_after_a_new_epoch_ends_complete(
    manifest: Path, tmp_path: Path, marks: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def dies(run: FormulaRun) -> None:
        if 0 < len(run.rows) < 6 and claim(marks, f"after-{len(run.rows)}"):
            os.kill(os.getpid(), signal.SIGKILL)

    killed = study(manifest, tmp_path / "r", epochs=6)
    go(killed, dies)
    assert states(killed) == {"mse/r0-f0/final-s0": "complete"}
    assert [*killed.outcomes[0].scores] == [1, 2, 3, 4, 5, 6]
    assert capfd.readouterr().out.count("starting it again") == 5


@pytest.mark.long
def test_a_worker_whose_every_cuda_call_raises_costs_no_run(
    manifest: Path, tmp_path: Path, marks: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken(run: FormulaRun) -> None:
        claim(marks, "broken")
        if (marks / "broken").read_text() == str(os.getpid()):
            claim(marks, f"hit-{run.spec.hash}")
            raise RuntimeError("CUDA error: an illegal memory access was encountered")

    runner = study(manifest, tmp_path / "r", arms=("mse", "contrastive"), seeds=2)
    go(runner, broken)
    assert set(states(runner).values()) == {"complete"} and len(states(runner)) == 4
    assert len(list(marks.glob("hit-*"))) == 1, "the process was replaced"
    said = capfd.readouterr().out
    assert said.count("an illegal memory access was encountered; starting it again") == 1
    assert "put aside" not in said


@pytest.mark.long
def test_an_exception_is_the_run_s_once_two_processes_have_raised_it(
    manifest: Path, tmp_path: Path, marks: Path
) -> None:
    def raises(run: FormulaRun) -> None:
        loss = run.spec.config.loss
        weighted = getattr(loss, "weighted", False)
        if weighted or (loss.name == "contrastive" and claim(marks, "once")):
            claim(marks, f"weighted-{os.getpid()}" if weighted else f"contrastive-{os.getpid()}")
            raise ValueError("planted")

    runner = study(manifest, tmp_path / "r", arms=("contrastive", "weighted", "mse"))
    go(runner, raises)
    assert states(runner) == {
        "mse/r0-f0/final-s0": "complete",
        "contrastive/r0-f0/final-s0": "complete",
        "weighted/r0-f0/final-s0": "failed",
    }
    (failed,) = runner.failed
    assert failed.reason == "ValueError: planted"
    (written,) = (tmp_path / "r" / "runs").glob(f"*/{ERROR}")
    assert written.parent.name == failed.planned.spec.hash and "ValueError: planted" in written.read_text()
    assert len(list(marks.glob("weighted-*"))) == 2


@pytest.mark.long
def test_a_run_that_has_no_memory_beside_others_is_tried_alone(
    manifest: Path, tmp_path: Path, marks: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def needs(run: FormulaRun) -> None:
        if run.spec.config.loss.name != "contrastive":
            (marks / f"runs-{os.getpid()}").touch()
            time.sleep(1)
            (marks / f"runs-{os.getpid()}").unlink()
        elif claim(marks, "first") or list(marks.glob("runs-*")):
            raise MemoryError

    runner = study(manifest, tmp_path / "r", arms=("contrastive", "mse"), seeds=2)
    go(runner, needs, at_once=2)
    assert set(states(runner).values()) == {"complete"}
    assert capfd.readouterr().out.count("MemoryError; starting it again, with nothing beside it") == 1


@pytest.mark.long
def test_data_that_have_gone_stop_the_study_and_no_run_has_failed(
    manifest: Path, tmp_path: Path, marks: Path
) -> None:
    def gone(run: FormulaRun) -> None:
        claim(marks, f"asked-{run.spec.hash}")
        if len(list(marks.glob("asked-*"))) > 1:
            raise UserError("/data/manifest.csv does not exist")

    root = tmp_path / "r"
    with pytest.raises(PlaceError, match=r"^/data/manifest\.csv does not exist$"):
        go(study(manifest, root, arms=("mse", "contrastive", "weighted")), gone)
    assert len(list(marks.glob("asked-*"))) == 2, "it did not go on to burn the others"
    assert [p.read_text().count("complete") for p in root.glob("runs/*/state.json")] == [1]
    again = study(manifest, root, arms=("mse", "contrastive", "weighted"))
    go(again)
    assert set(states(again).values()) == {"complete"}


@pytest.mark.long
def test_a_run_that_another_sweep_trains_is_waited_for_and_what_it_makes_of_it_counts(
    manifest: Path, tmp_path: Path
) -> None:
    def here(run: FormulaRun) -> None:
        raise AssertionError("it was trained elsewhere")

    runner = study(manifest, tmp_path / "r")
    planned = study(manifest, tmp_path / "r").next_run()
    assert planned is not None
    folder = runner.store.folder(planned.spec.hash)
    folder.write_spec(planned.spec)
    holds = threading.Event()

    def elsewhere() -> None:
        with locked(folder):
            holds.set()
            time.sleep(8)
            folder.finish("complete")

    other = threading.Thread(target=elsewhere)
    other.start()
    holds.wait()
    go(runner, here, hung_after_s=4)
    other.join()
    assert states(runner) == {planned.label: "complete"}


@pytest.mark.long
def test_no_failure_is_written_over_a_run_that_another_sweep_has_taken_up(
    manifest: Path, tmp_path: Path, marks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is taken up between the second exception here and the driver's hearing of it."""
    monkeypatch.setattr(searcher, "LET_GO_S", 0.0)
    runner = study(manifest, tmp_path / "r")
    planned = study(manifest, tmp_path / "r").next_run()
    assert planned is not None
    folder = runner.store.folder(planned.spec.hash)
    judge, verdicts = searcher.Attempts.judge, []

    def taken_up(self, run, fault):  # type: ignore[no-untyped-def]
        verdict = judge(self, run, fault)
        verdicts.append(verdict.failed)
        if verdict.failed:
            other = locked(folder)
            other.__enter__()
            threading.Timer(3, lambda: (folder.finish("complete"), other.__exit__(None, None, None))).start()
        return verdict

    monkeypatch.setattr(searcher.Attempts, "judge", taken_up)

    def raises(run: FormulaRun) -> None:
        raise ValueError("planted")

    go(runner, raises)
    assert verdicts == ["", "ValueError: planted"]
    assert states(runner) == {planned.label: "complete"}

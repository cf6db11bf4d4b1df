"""The command that shows a study, and what it refuses."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from learner_ray.cli.watch import main
from learner_ray.study.study_json import RUN_LOG
from tests.watch.watched_study import watched_study


def files(root: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in root.rglob("*")}


def test_the_page_is_written_once_and_nothing_else_is(tmp_path: Path) -> None:
    watched_study(tmp_path / "results" / "lus", 5)
    before = files(tmp_path / "results")
    assert main([str(tmp_path / "results" / "lus"), "--once", "--out", str(tmp_path / "page.html")]) == 0
    page = (tmp_path / "page.html").read_text()
    assert "of 32 runs have ended" in page and "<script" not in page and str(tmp_path) not in page
    assert files(tmp_path / "results") == before


@pytest.mark.parametrize("arguments", [("--once",), ("--out", "page.html"), ("--port", "-1")])
def test_options_that_make_no_sense_are_refused(
    arguments: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    watched_study(tmp_path / "lus", 5)
    assert main([str(tmp_path / "lus"), *arguments]) == 2
    assert arguments[0] in capsys.readouterr().err


def test_a_folder_with_nothing_to_see_is_refused_with_a_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path)]) == 2 and "holds no study" in capsys.readouterr().err
    watched_study(tmp_path / "lus", 5)
    (tmp_path / "lus" / RUN_LOG).unlink()
    assert main([str(tmp_path / "lus")]) == 2 and "repeats no run" in capsys.readouterr().err


def _heed_ctrl_c() -> None:
    """A shell starts what it runs in the background with Ctrl-C ignored, and tests may be run so."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.slow
def test_ctrl_c_ends_it_without_a_traceback(tmp_path: Path) -> None:
    watched_study(tmp_path / "lus", 5)
    command = [sys.executable, "-m", "learner_ray.cli.main", "watch", str(tmp_path / "lus")]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=_heed_ctrl_c
    ) as watch:
        try:
            assert watch.stdout is not None and "http://127.0.0.1:" in watch.stdout.readline()
            watch.send_signal(signal.SIGINT)
            _, errors = watch.communicate(timeout=60)
        finally:
            watch.kill()
    assert (watch.returncode, errors) == (0, "")


def test_a_sweep_on_a_cluster_is_watched_there(capsys: pytest.CaptureFixture[str]) -> None:
    from learner_ray.sweep import main as sweep

    assert sweep(["lus", "--watch", "--cluster", "cluster/gpu.yaml"]) == 2
    assert "learner-ray watch there" in capsys.readouterr().err

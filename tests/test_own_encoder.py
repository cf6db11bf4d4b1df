"""The worked examples of docs/extending.md: a loss and an encoder of one's own."""

from __future__ import annotations

import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from analysis import report
from learner_ray import predict
from learner_ray.cli import export
from learner_ray.core.components import ENCODERS, LOSSES
from learner_ray.core.config import Config, all_keys
from learner_ray.core.errors import UserError
from learner_ray.encoders import build_network
from learner_ray.losses import TrainingScores, build_loss
from learner_ray.run.user_code import import_file
from tests.losses.test_registry import make_batch
from tests.small_sweep import GUARD_S, ended, ledger, sweep_command, wait_until

PAGE = (Path(__file__).parents[1] / "docs" / "extending.md").read_text()
LOSS, ENCODER = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[:2]
SMALL = ["--profile", "laptop", "--folds", "2", "--trials", "2", "--seeds", "1", "--epochs", "3"]
SMALL += ["--set", "data.image_size=32", "--set", "data.frames=4", "--max-concurrent", "2"]
SMALL += ["--set", "progression.selection_metric=log_loss", "--address", "local"]


@pytest.fixture
def study_file(tmp_path: Path) -> Path:
    """The page's study, on the clips of the tests' cohort."""
    path = tmp_path / "volumes.py"
    path.write_text(ENCODER.replace('modality="mri"', 'modality="lus"'))
    return path


@pytest.fixture(autouse=True)
def forget() -> Any:
    yield
    LOSSES._added.clear()
    ENCODERS._added.clear()


def test_a_loss_of_ones_own_has_its_own_key(tmp_path: Path) -> None:
    path = tmp_path / "power.py"
    path.write_text(LOSS)
    import_file(path)
    config = Config().with_values({"loss.name": "power_distance", "loss.power": "2"})
    scores = TrainingScores(torch.zeros(2), torch.arange(2))
    assert build_loss(config.loss, scores)(make_batch()).isfinite()
    with pytest.raises(UserError, match=r"loss\.power must be positive"):
        config.with_values({"loss.power": 0})


def test_an_encoder_of_ones_own_sets_the_width_of_the_heads(study_file: Path) -> None:
    import_file(study_file)
    config = Config().with_values({"encoder.name": "small_3d", "encoder.channels": 8})
    output = build_network(config.encoder, 4, seed=0)(torch.randn(2, 4, 32, 32))
    assert output.embedding.shape == (2, 16) and output.score.shape == (2,)
    assert all_keys()["encoder.channels"].components == ["small_3d"]
    with pytest.raises(UserError, match="small_3d shifts nothing between frames"):
        config.with_values({"encoder.shift_fraction": 0.25})


def test_an_encoder_that_does_not_keep_its_word_is_named(tmp_path: Path) -> None:
    for change, reason in (
        ("self.width = 2 * c", "has the width None: set self.width"),
        (".mean(2)", "must give \\(B, width\\)"),
    ):
        path = tmp_path / f"{len(change)}.py"
        path.write_text(ENCODER.replace(change, "pass" if "width" in change else ""))
        import_file(path)
        config = Config().with_values({"encoder.name": "small_3d"})
        with pytest.raises((UserError, ValueError), match=reason):
            build_network(config.encoder, 4, seed=0)(torch.randn(2, 4, 32, 32))


@pytest.mark.ray
@pytest.mark.long
def test_an_encoder_of_ones_own_is_searched_killed_resumed_and_reported(
    study_file: Path, manifest: Path, tmp_path: Path
) -> None:
    killed, undisturbed = tmp_path / "killed" / "volumes", tmp_path / "undisturbed" / "volumes"
    command = sweep_command(manifest, killed, *SMALL, study=str(study_file))
    driver = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True, text=True)
    wait_until(lambda: ended(killed.parent) >= 2, while_runs=driver)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    done = {p: p.read_bytes() for p in killed.parent.glob("runs/*/state.json")}
    again = sweep_command(manifest, undisturbed, *SMALL, study=str(study_file))
    for sweep in (command, again):
        subprocess.run(sweep, check=True, stdout=subprocess.DEVNULL, timeout=GUARD_S)
    assert done and {p: p.read_bytes() for p in done} == done
    pd.testing.assert_frame_equal(ledger(killed), ledger(undisturbed), check_exact=True)

    trials = pd.read_parquet(killed / "trials.parquet")
    searched = trials[trials["arm"] == "volume"]["config.encoder.channels"]
    assert set(searched) <= {8, 16} and len(searched) == 4
    table = ledger(killed)
    run = killed.parent / "runs" / table.loc[table["arm"] == "volume", "run_hash"].iloc[0]
    scans = [str(manifest.parent / f"p0-{visit}.mp4") for visit in (0, 1)]
    assert predict.main([str(run), *scans, "--out", str(tmp_path / "new.csv")]) == 2
    named = ["--study", str(study_file)]
    assert predict.main([str(run), *scans, *named, "--out", str(tmp_path / "new.csv")]) == 0
    written = ["--to", "torchscript", "--out", str(tmp_path / "encoder.torchscript.pt")]
    assert export.main([str(run), *written]) == 2
    assert export.main([str(run), *written, *named]) == 0
    assert len(pd.read_csv(tmp_path / "new.csv")) == 2
    study_file.write_text(study_file.read_text().replace("stride=2", "stride=1"))
    assert predict.main([str(run), *scans, *named, "--out", str(tmp_path / "other.csv")]) == 2

    assert report.main([str(killed), "--out", str(tmp_path / "report"), "--draws", "200"]) == 0
    assert "Small 3D network" in (tmp_path / "report" / "index.html").read_text()

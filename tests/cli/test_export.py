"""An exported encoder computes what the run does, or is not written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from learner_ray.cli import export as command
from learner_ray.cli.export import main
from learner_ray.core.errors import UserError
from learner_ray.training import export as module
from learner_ray.training.data import open_data
from learner_ray.training.export import FORMS, TOLERANCE, TorchScript, export
from learner_ray.training.predictor import Predictor
from tests.training.test_run import FINAL, finish, spec

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("predict")]


@pytest.fixture(scope="module")
def run(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finish(spec(manifest, FINAL), tmp_path_factory.mktemp("exported")).path


@pytest.mark.parametrize("name", ["torchscript", pytest.param("onnx", marks=pytest.mark.long)])
def test_the_file_gives_the_run_s_own_predictions(run: Path, tmp_path: Path, name: str) -> None:
    form = FORMS[name]
    out = tmp_path / f"encoder{form.suffix}"
    assert main([str(run), "--to", name, "--out", str(out)]) == 0
    described = json.loads((tmp_path / "encoder.json").read_text())
    assert max(described["check"]["largest_difference"].values()) <= TOLERANCE
    predictor = Predictor.load(run)
    data = open_data(predictor.spec.source, predictor.spec.config.data.pixels)
    scans = data.of(FINAL.test)["scan"].tolist()
    (clips,) = data.batches(scans, described["input"]["shape"][1], "cpu", 99)
    embeddings, scores = form.run(out, clips.numpy())
    assert embeddings.shape == (len(scans), described["outputs"]["embedding"]["shape"][1])
    # The run itself may have computed in bfloat16, which has three digits.
    own = predictor.embed_clips(scans, clips)
    tolerance = 1e-5 if predictor.spec.config.train.precision == "float32" else 0.05
    np.testing.assert_allclose(scores, [*own.predictions.values()], rtol=tolerance)


def test_what_computes_something_else_is_not_left(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Wrong(TorchScript):
        def write(self, network: module.Exported, example: torch.Tensor, path: Path) -> None:
            network.sd *= 1.01
            super().write(network, example, path)
            network.sd /= 1.01

    out = tmp_path / "encoder.torchscript.pt"
    with pytest.raises(UserError, match=r"computes something else than the run: .*score by"):
        export(Predictor.load(run), Wrong(), out)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("out", ["encoder.onnx", "there.torchscript.pt"])
def test_a_wrong_name_and_a_file_that_exists_are_refused(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], out: str
) -> None:
    (tmp_path / "there.json").touch()
    assert main([str(run), "--to", "torchscript", "--out", str(tmp_path / out)]) == 2
    assert "name" in capsys.readouterr().err


def test_the_command_offers_every_form() -> None:
    assert {*command.FORMS} == {*FORMS}


def test_lacking_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.Onnx, "needs", ("no_such_package",))
    with pytest.raises(UserError, match=r"needs no_such_package: pip install 'learner-ray\[export\]'"):
        module.form_named("onnx")

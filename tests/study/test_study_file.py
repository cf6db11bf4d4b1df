"""A study file is code that its runs depend on: by content, and only where they use it."""

from __future__ import annotations

from pathlib import Path

import pytest

from learner_ray.core.components import LOSSES
from learner_ray.core.config import Config
from learner_ray.core.errors import UserError
from learner_ray.run.folder import RunFolder
from learner_ray.run.spec import Patients, RunSpec, Source
from learner_ray.run.user_code import load_components, with_code
from learner_ray.study.study_file import load_study
from learner_ray.sweep import main

FILE = """
from learner_ray.core.config import Config
from learner_ray.losses import Loss
from learner_ray.study.study import Arm, Study

class Length(Loss):
    name = "length"
    def compute(self, batch):
        return batch.embeddings.square().mean()

STUDY = Study(
    name="own", modality="lus", base=Config(), reference="mse", space=lambda suggest, config: None,
    arms=(Arm(name="mse", label="MSE"), Arm(name="own", label="own", edits={"loss.name": "length"})),
    default_arms=("mse", "own"),
)
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "own.py"
    path.write_text(FILE)
    return path


def spec_of(file: Path, loss: str) -> RunSpec:
    load_study(str(file))
    config = Config().with_values({"loss.name": loss})
    source = with_code(Source(path="data", cohort_hash="1"), config, str(file))
    return RunSpec(config=config, patients=Patients(), source=source)


def run_hash(file: Path, loss: str) -> str:
    return spec_of(file, loss).hash


def test_a_change_of_the_file_changes_the_runs_of_the_losses_that_change_alone(file: Path) -> None:
    before = run_hash(file, "length"), run_hash(file, "mse")
    file.write_text(FILE.replace("square", "abs"))
    after = run_hash(file, "length"), run_hash(file, "mse")
    assert before[0] != after[0] and before[1] == after[1]
    file.write_text(
        FILE.replace("class Length(Loss):", '# a comment\nclass Length(Loss):\n    """Said."""\n')
    )
    assert run_hash(file, "length") == before[0]


def test_where_the_file_lies_does_not_count(file: Path, tmp_path: Path) -> None:
    (tmp_path / "moved").mkdir()
    moved = tmp_path / "moved" / "own.py"
    moved.write_text(FILE)
    assert run_hash(moved, "length") == run_hash(file, "length")


def test_a_run_gets_the_code_it_was_planned_with_or_none(file: Path) -> None:
    spec = spec_of(file, "length")
    assert load_components(spec.source, spec.config) == spec.config
    assert spec_of(file, "mse").source.study_file == ""
    file.write_text(FILE + "# another comment\n")
    assert load_components(spec.source, spec.config) == spec.config
    file.write_text(FILE.replace("square", "abs"))
    with pytest.raises(UserError, match=r"the loss 'length' of .*own\.py has changed"):
        load_components(spec.source, spec.config)
    file.unlink()
    with pytest.raises(UserError, match="no study file"):
        load_components(spec.source, spec.config)


def test_a_run_s_file_can_be_read_without_its_study_file(file: Path, tmp_path: Path) -> None:
    spec = spec_of(file, "length")
    RunFolder(tmp_path / "run").write_spec(spec)
    LOSSES._added.clear()
    assert RunFolder(tmp_path / "run").read_spec().hash == spec.hash


def test_a_loss_of_a_script_is_refused(file: Path) -> None:
    load_study(str(file))
    with pytest.raises(UserError, match="script or notebook"):
        with_code(Source(path="data"), Config().with_values({"loss.name": "length"}), "")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"loss.name": "length"', '"loss.name": "lenght"', "loss.name is 'lenght'"),
        ('name = "length"', 'name = "supcon"', "'supcon' exists already"),
        (
            'default_arms=("mse", "own"),',
            "default_arms=('mse',), primary_metric='best',",
            "primary_metric is 'best'",
        ),
    ],
)
def test_a_faulty_study_file_is_told_before_anything_starts(
    old: str,
    new: str,
    words: str,
    file: Path,
    manifest: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file.write_text(FILE.replace(old, new))
    out = tmp_path / "results" / "own"
    arguments = ["--data", str(manifest), "--out", str(out), "--profile", "laptop"]
    assert main([str(file), *arguments]) == 2
    assert words in capsys.readouterr().err and not out.exists()

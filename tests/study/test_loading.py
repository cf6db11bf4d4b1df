"""A study file is code that its runs depend on: by content, and only where they use it."""

from __future__ import annotations

from pathlib import Path

import pytest

from learner_ray.core.config import Config
from learner_ray.core.errors import UserError
from learner_ray.run.spec import Patients, RunSpec, Source
from learner_ray.run.user_code import own_objectives
from learner_ray.study.study_file import load_study, with_code
from learner_ray.sweep import main

FILE = """
from learner_ray.core.config import Config
from learner_ray.losses import Objective
from learner_ray.study.study import Arm, Study

class Length(Objective):
    name = "length"
    def loss(self, batch):
        return batch.embeddings.square().mean()

STUDY = Study(
    name="own", modality="lus", base=Config(), reference="mse", space=lambda suggest, config: None,
    arms=(Arm(name="mse", label="MSE"), Arm(name="own", label="own", edits={"objective.name": "length"})),
    default_arms=("mse", "own"), objectives=(Length,),
)
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "own.py"
    path.write_text(FILE)
    return path


def source_of(file: Path, objective: str) -> Source:
    return with_code(Source(path="data", cohort_hash="1"), load_study(str(file)), objective)


def run_hash(file: Path, objective: str) -> str:
    config = Config().with_values({"objective.name": objective})
    return RunSpec(config=config, patients=Patients(), source=source_of(file, objective)).hash


def test_a_file_read_twice_has_the_same_classes(file: Path) -> None:
    assert load_study(str(file)).objectives == load_study(str(file)).objectives


def test_a_change_of_the_file_changes_the_runs_of_its_objectives_alone(file: Path) -> None:
    before = run_hash(file, "length"), run_hash(file, "mse")
    file.write_text(FILE.replace("square", "abs"))
    after = run_hash(file, "length"), run_hash(file, "mse")
    assert before[0] != after[0] and before[1] == after[1]


def test_where_the_file_lies_does_not_count(file: Path, tmp_path: Path) -> None:
    (tmp_path / "moved").mkdir()
    moved = tmp_path / "moved" / "own.py"
    moved.write_text(FILE)
    assert run_hash(moved, "length") == run_hash(file, "length")


def test_a_run_gets_the_code_it_was_planned_with_or_none(file: Path) -> None:
    source = source_of(file, "length")
    assert [cls.__name__ for cls in own_objectives(source)] == ["Length"]
    assert own_objectives(source_of(file, "mse")) == ()
    file.write_text(FILE + "\n")
    with pytest.raises(UserError, match=r"own\.py has changed"):
        own_objectives(source)
    file.unlink()
    with pytest.raises(UserError, match="no study file"):
        own_objectives(source)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"objective.name": "length"', '"objective.name": "lenght"', "objective.name is 'lenght'"),
        ('name = "length"', 'name = "supcon"', "'supcon' exists already"),
        ("objectives=(Length,)", "objectives=(int,)", "is no objective"),
        ("objectives=(Length,)", "primary_metric='best'", "primary_metric is 'best'"),
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

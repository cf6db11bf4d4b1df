"""A run is what its configuration, cohort, patients, seed and precision are; execution does not count."""

import fcntl
import json
from dataclasses import replace
from pathlib import Path

import pytest

from learner_ray.core.config import Config
from learner_ray.core.errors import UserError
from learner_ray.core.numerics import NUMERICS
from learner_ray.run.folder import RunFolder, locked
from learner_ray.run.old_names import config_then
from learner_ray.run.spec import Patients, RunSpec, Source
from learner_ray.study.results import Results

SPEC = RunSpec(
    config=Config(),
    patients=Patients(pretrain=("a", "b"), classifier=("c",), test=("d",)),
    source=Source(path="data", cohort_hash="1"),
)


@pytest.mark.parametrize(
    "other",
    [
        replace(SPEC, config=Config().with_values({"train.lr": 0.1})),
        replace(SPEC, config=Config(seed=1)),
        replace(SPEC, config=Config().with_values({"train.precision": "float32"})),
        replace(SPEC, patients=Patients(pretrain=("a",), classifier=("c",), test=("d",))),
        replace(SPEC, source=Source(path="data", cohort_hash="2")),
        replace(SPEC, numerics=1),
        replace(SPEC, numerics=NUMERICS + 1),
    ],
)
def test_what_decides_the_result_decides_the_hash(other: RunSpec) -> None:
    assert other.hash != SPEC.hash


@pytest.mark.parametrize(
    "other", [replace(SPEC, threads=4), replace(SPEC, source=Source(path="moved", cohort_hash="1"))]
)
def test_threads_and_place_do_not(other: RunSpec) -> None:
    assert other.hash == SPEC.hash


def test_a_specification_survives_its_file(tmp_path: Path) -> None:
    RunFolder(tmp_path).write_spec(SPEC)
    assert RunFolder(tmp_path).read_spec() == SPEC


def test_where_the_list_of_contents_lies_is_no_part_of_a_run_and_of_no_key_that_others_refuse(
    tmp_path: Path,
) -> None:
    listed = replace(SPEC, source=replace(SPEC.source, contents="results/lus/content.json"))
    values = listed.to_dict()
    assert listed.hash == SPEC.hash and values["source"] == SPEC.to_dict()["source"]
    assert set(values["source"]) == {
        "path", "format", "modality", "cohort_hash", "bad_scans", "study_file", "study_file_hash",
        "components",
    }  # fmt: skip
    assert RunSpec.from_dict(values) == listed
    del values["contents"]  # as written by a version that kept no list
    assert RunSpec.from_dict(values) == SPEC
    values["source"]["checksum"] = "of a later version"
    assert RunSpec.from_dict(values) == SPEC


def test_an_edited_file_is_refused(tmp_path: Path) -> None:
    values = SPEC.to_dict()
    values["config"]["train"]["lr"] = 1.0
    (tmp_path / "config.json").write_text(json.dumps(values))
    with pytest.raises(UserError, match="was changed"):
        RunFolder(tmp_path).read_spec()


def test_a_run_that_names_no_numerics_is_of_the_first_and_has_its_hash() -> None:
    old = replace(SPEC, numerics=1)
    values = old.to_dict()
    assert values.pop("numerics") == 1
    assert RunSpec.from_dict(values) == old and RunSpec.from_dict(values).hash == old.hash
    with pytest.raises(UserError, match="was changed"):
        RunSpec.from_dict({**values, "numerics": 2})
    assert RunSpec.from_dict(SPEC.to_dict()).numerics == NUMERICS


def test_a_run_of_a_version_with_fewer_keys_keeps_its_name(tmp_path: Path) -> None:
    values = SPEC.to_dict()
    values["config"] = config_then(values["config"])
    del values["config"]["progression"]["finetune_epochs"]
    values["run_hash"] = SPEC._hash(values["config"])
    (tmp_path / "config.json").write_text(json.dumps(values))
    spec = RunFolder(tmp_path).read_spec()
    assert spec == SPEC
    assert spec.hash == values["run_hash"] != SPEC.hash


def test_a_siamese_run_of_before_its_boundary_was_the_cohort_s_keeps_hash_and_boundary() -> None:
    now = replace(SPEC, config=Config().with_values({"loss.name": "siamese"}), numerics=2)
    values = now.to_dict()
    assert (values["config"]["data"].pop("levels"), values["config"]["data"].pop("mm_per_pixel")) == (
        "mm",
        0.0,
    )
    assert values["config"]["loss"].pop("boundary") == 1.0
    values["run_hash"] = "df63362c77f859e2"
    before = RunSpec.from_dict(values)
    assert (before.config.loss.boundary, before.config.loss.threshold) == (0.0, 0.5)  # type: ignore[attr-defined]
    assert before.config.data.levels == "extent", "volumes were shown so then"
    assert before.config.resolved() == before.config and RunSpec.from_dict(before.to_dict()) == before
    assert replace(before, recorded_hash="").hash == values["run_hash"] != now.hash


def test_nobody_is_fitted_and_judged_on() -> None:
    with pytest.raises(ValueError, match="neither validated nor tested"):
        Patients(pretrain=("a",), test=("a",))
    with pytest.raises(ValueError, match="neither validated nor tested"):
        Patients(classifier=("a",), validation=("a",))


def test_the_first_end_of_a_run_stays(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.finish("stopped", "first")
    folder.finish("complete")
    assert folder.state == {"state": "stopped", "reason": "first"}


def test_a_run_is_trained_by_one_process_at_a_time(tmp_path: Path) -> None:
    def is_free() -> bool:
        with open(tmp_path / ".lock") as another:
            try:
                fcntl.flock(another, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

    with locked(RunFolder(tmp_path)):
        assert not is_free()
    assert is_free()


def test_a_study_is_written_by_one_sweep_at_a_time(tmp_path: Path) -> None:
    first, second = Results(str(tmp_path)), Results(str(tmp_path))
    with first.alone(), pytest.raises(UserError, match="another sweep is writing"), second.alone():
        pass
    with second.alone():
        pass


@pytest.mark.parametrize("rest", ['{"epoch": 2', "[]", '{"epoch": 7}', "\x00\x80"])
def test_progress_ends_where_it_cannot_be_read(tmp_path: Path, rest: str) -> None:
    line = json.dumps({"epoch": 1, "selection_score": 0.5})
    (tmp_path / "progress.jsonl").write_bytes(f"{line}\n{rest}\n{line}\n".encode("latin-1"))
    assert RunFolder(tmp_path).progress() == [{"epoch": 1, "selection_score": 0.5}]


@pytest.mark.parametrize("before", ["[]", "", json.dumps(replace(SPEC, threads=2).to_dict())])
def test_what_a_run_is_is_written_over_what_it_is_not(tmp_path: Path, before: str) -> None:
    (tmp_path / "config.json").write_text(before)
    RunFolder(tmp_path).write_spec(SPEC)
    assert RunFolder(tmp_path).read_spec() == SPEC


def test_a_damaged_end_is_none(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text("[]")
    assert RunFolder(tmp_path).state is None
    RunFolder(tmp_path).finish("complete")
    assert RunFolder(tmp_path).state == {"state": "complete", "reason": ""}


def test_raw_weights_and_a_loss_s_own_views_are_what_older_runs_had() -> None:
    """Their hash is that of commit 3590708, whose configurations knew neither key."""
    default = Config().with_values({"loss.weighting": "raw", "loss.views": 0})
    assert replace(SPEC, config=default).hash == SPEC.hash
    assert not {"weighting", "views"} & config_then(default.to_dict())["objective"].keys()
    for key, value in (("loss.weighting", "balanced"), ("loss.views", 2)):
        assert replace(SPEC, config=Config().with_values({key: value})).hash != SPEC.hash


def test_three_classes_are_what_older_runs_had() -> None:
    default, decline = (Config().with_values({"progression.endpoint": e}) for e in ("progression", "decline"))
    assert replace(SPEC, config=default).hash == SPEC.hash != replace(SPEC, config=decline).hash
    assert "endpoint" not in config_then(default.to_dict())["progression"]

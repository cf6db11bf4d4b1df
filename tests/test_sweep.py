"""The command, with real Ray, on a cohort of twelve patients."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest

from learner_ray import check
from learner_ray.study.study import WITH_EARLIER_SCORE
from learner_ray.sweep import main
from tests.formula_runs import hold
from tests.small_sweep import GUARD_S, SMALL, check_halving, ended, ledger, sweep, sweep_command, wait_until


@pytest.mark.ray
def test_the_ledger_holds_every_test_pair_of_every_arm_once(finished: Path) -> None:
    table = ledger(finished)
    assert not table.duplicated(["arm", "repeat", "seed", "pair"]).any()
    combined = {f"{arm}{WITH_EARLIER_SCORE}": 36 for arm in ("mse", "weighted")}
    assert table.groupby("arm").size().to_dict() == {"majority": 36, "mse": 36, "weighted": 36, **combined}
    assert set(table["y_true"]) == {0, 1, 2}


@pytest.mark.ray
def test_trials_are_listed_with_their_parameters_and_states(finished: Path) -> None:
    trials = pd.read_parquet(finished / "trials.parquet")
    assert len(trials) == 2 * 2 * 2
    check_halving(finished)
    margins = trials.set_index("arm")["config.loss.margin"]
    assert margins["mse"].isna().all() and margins["weighted"].notna().all()


@pytest.mark.ray
def test_curves_and_hparams_are_in_tensorboard(finished: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    curves = EventAccumulator(str(finished / "tensorboard/weighted/r0-f1/trial-001")).Reload()
    assert [e.step for e in curves.Scalars("validation/macro_f1")][:2] == [1, 2]
    assert "_hparams_/session_start_info" in curves.summary_metadata
    assert min(e.value for e in curves.Scalars("train/gradient_ratio")) > 0


@pytest.mark.ray
def test_final_runs_record_how_strong_their_loss_was(finished: Path) -> None:
    finals = pd.read_parquet(finished / "finals.parquet")
    ratios = finals.groupby("arm")["gradient_ratio"]
    assert ratios.min()["weighted"] > 0 and ratios.max()["mse"] == 0 and ratios.count()["majority"] == 0


@pytest.mark.ray
def test_study_json_tells_how_to_repeat_it(finished: Path) -> None:
    study = json.loads((finished / "study.json").read_text())
    assert study["versions"]["torch"] and study["split_hash"] and study["cohort"]["class_counts"]
    assert [arm["searched"] for arm in study["arms"] if arm["name"] == "majority"] == [[]]


@pytest.mark.ray
def test_the_study_lists_what_its_files_hold_and_its_runs_know_where(finished: Path, manifest: Path) -> None:
    listed = json.loads((finished / "content.json").read_text())
    assert listed["cohort_hash"] == json.loads((finished / "study.json").read_text())["cohort_hash"]
    assert len(listed["scans"]) == 48
    for config in (finished.parent / "runs").glob("*/config.json"):
        assert json.loads(config.read_text())["contents"] == str(finished / "content.json")


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Path:
    """The same study, to be changed."""
    shutil.copytree(finished.parent, tmp_path / "results")
    return tmp_path / "results" / finished.name


@pytest.mark.ray
def test_the_same_command_again_runs_nothing(
    copied: Path, manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {p: p.stat().st_mtime_ns for p in (copied.parent / "runs").rglob("*") if p.name != ".lock"}
    assert sweep(manifest, copied) == 0
    assert "All runs are already complete." in capsys.readouterr().out
    assert {p: p.stat().st_mtime_ns for p in before} == before


@pytest.mark.long
@pytest.mark.ray
def test_what_is_damaged_is_told_and_repaired_by_the_same_command(
    copied: Path, manifest: Path, finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Runs that really train; where splits or study were changed by hand, only their owner can say."""
    runs = copied.parent / "runs"
    finals = ledger(copied).drop_duplicates("run_hash").set_index(["arm", "fold"])["run_hash"]
    trials = pd.read_parquet(copied / "trials.parquet").set_index(["arm", "fold", "trial"])["run_hash"]
    predictions = "predictions.parquet"
    (runs / finals["mse", 0] / predictions).unlink()
    shutil.copy(runs / finals["majority", 1] / predictions, runs / finals["majority", 0])
    cut = runs / finals["weighted", 0] / predictions
    cut.write_bytes(cut.read_bytes()[:-100])
    (runs / trials["mse", 0, 1] / "state.json").write_text("[]")
    shutil.copy(runs / finals["mse", 1] / "config.json", runs / trials["weighted", 1, 0])
    interrupted = runs / finals["weighted", 1]
    (interrupted / "state.json").unlink()
    (interrupted / "last.pt").write_bytes(os.urandom(5000))
    splits = (copied / "splits.json").read_text()
    (copied / "splits.json").write_text(splits.replace('"p1"', '"p2"'))
    assert sweep(manifest, copied) == 2
    assert f"{copied / 'splits.json'} was changed" in capsys.readouterr().err
    (copied / "splits.json").write_text(splits)
    assert check.main(["--files", str(copied)]) == 1
    assert capsys.readouterr().out.count(str(runs)) == 5
    assert sweep(manifest, copied) == 0
    said = capsys.readouterr().out
    for line in (
        "mse/r0-f0/final-s0: predictions.parquet is missing; training it again",
        "majority/r0-f0/final-s0: predictions.parquet is not the one that this run wrote; training it again",
        "weighted/r0-f0/final-s0: predictions.parquet is not the one that this run wrote; training it again",
        "mse/r0-f0/trial-001: state.json is damaged; training it again",
        f"weighted/r0-f1/trial-000: config.json is of run {finals['mse', 1]}; training it again",
        "weighted/r0-f1/final-s0: last.pt was removed, since it is damaged",
    ):
        assert line in said
    assert said.count("training it again") == 5
    pd.testing.assert_frame_equal(ledger(copied), ledger(finished), check_exact=True)
    assert check.main(["--files", str(copied.parent)]) == 0


@pytest.mark.ray
def test_a_folder_of_another_study_is_refused(
    copied: Path, manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sweep(manifest, copied, "--seed", "5") == 2
    error = capsys.readouterr().err
    assert "holds another study" in error and "--out" in error


@pytest.mark.ray
def test_the_plan_counts_the_runs_and_makes_none(
    finished: Path, manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sweep(manifest, tmp_path / "results" / "lus", "--plan") == 0
    printed = capsys.readouterr().out
    assert f"In all {ended(finished.parent)} runs" in printed and "detectable difference: Macro-F1" in printed
    assert "of device time as measured on " in printed and "thread" in printed
    assert not list((tmp_path / "results").glob("*"))


@pytest.mark.long
@pytest.mark.ray
@pytest.mark.usefixtures("formula_runs")
def test_extending_trains_only_what_is_new_and_is_a_look_that_was_not_declared(
    copied: Path, manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(list(copied.glob("looks/*.json"))) == 1, "the first table was a look"
    more = ["--arms", "mse,weighted,majority,earlier_score", "--seeds", "2", "--extend"]
    before, runs = ledger(copied), set((copied.parent / "runs").iterdir())
    assert sweep(manifest, copied, *more) == 0
    printed = capsys.readouterr().out
    assert "exploratory (look 2 of 1)" in printed and "seeds from 1 to 2" in printed
    assert len(list(copied.glob("looks/*.json"))) == 2
    # One more seed of three arms and two seeds of the new one, on two folds.
    assert len(set((copied.parent / "runs").iterdir()) - runs) == 2 * (3 * 1 + 1 * 2)
    keys = ["arm", "repeat", "fold", "seed", "pair"]
    after = ledger(copied).merge(before[keys], on=keys)
    pd.testing.assert_frame_equal(
        after.sort_values(keys, ignore_index=True), before.sort_values(keys, ignore_index=True)
    )


def a_running_run(root: Path) -> Path | None:
    """A run that has an epoch behind it and more before it."""
    folders = [path.parent for path in (root / "runs").glob("*/progress.jsonl")]
    return next((folder for folder in folders if not (folder / "state.json").exists()), None)


def holder(run: Path) -> int:
    """The process that trains a run, or trained it last."""
    return int((run / ".lock").read_text().split()[1])


@pytest.mark.long
def test_whatever_is_killed_the_study_equals_the_undisturbed_one(
    finished: Path, manifest: Path, tmp_path: Path
) -> None:
    """On a Ray of its own: first a process that trains, then the driver."""
    out = tmp_path / "results" / "lus"
    command = sweep_command(manifest, out, *SMALL, "--max-concurrent", "2", "--address", "local")
    driver = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True, text=True)
    wait_until(lambda: a_running_run(out.parent), while_runs=driver)
    run = a_running_run(out.parent)
    assert run is not None
    trained_by = holder(run)
    os.kill(trained_by, signal.SIGKILL)
    wait_until(lambda: (run / "state.json").exists() and ended(out.parent) >= 2, while_runs=driver)
    assert holder(run) != trained_by
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    done = {p: p.read_bytes() for p in out.parent.glob("runs/*/state.json")}
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=GUARD_S)
    assert {p: p.read_bytes() for p in done} == done
    pd.testing.assert_frame_equal(ledger(out), ledger(finished))
    columns = ["arm", "fold", "trial", "run_hash", "state", "selection_score", "epochs"]
    trials = [pd.read_parquet(folder / "trials.parquet")[columns] for folder in (out, finished)]
    pd.testing.assert_frame_equal(*trials)


@pytest.mark.long
@pytest.mark.ray
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_says_how_to_go_on(
    manifest: Path, tmp_path: Path, ray_address: str, number: signal.Signals
) -> None:
    out = tmp_path / "results" / "lus"
    hold(out.parent, ended=1)
    options = [*SMALL, "--address", ray_address]
    command = sweep_command(manifest, out, *options, module="tests.formula_runs")
    driver = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: ended(out.parent), while_runs=driver)
    driver.send_signal(number)
    output, errors = driver.communicate(timeout=GUARD_S)
    assert driver.returncode == 128 + number
    assert "python -m learner_ray.sweep lus" in output.splitlines()[-1]
    assert "Traceback" not in errors


Plant = Callable[[Path], list[str]]


def rows(folder: Path, change: Callable[[pd.DataFrame], pd.DataFrame]) -> list[str]:
    table = pd.read_csv(folder / "manifest.csv", dtype=str)
    change(table).to_csv(folder / "manifest.csv", index=False)
    return []


def text_score(folder: Path) -> list[str]:
    return rows(folder, lambda t: t.assign(score=t["score"].where(t.index != 4, "about 300")))


def truncated(folder: Path) -> list[str]:
    clip = folder / "p3-1.mp4"
    clip.write_bytes(clip.read_bytes()[:700])
    return []


def corrupt_volume(folder: Path) -> list[str]:
    (folder / "p3-1.nii.gz").write_bytes(b"\x1f\x8b" + os.urandom(200))
    return rows(folder, lambda t: t.replace("p3-1.mp4", "p3-1.nii.gz"))


FAULTS: dict[str, tuple[Plant, list[str]]] = {
    "no such folder": (lambda f: ["--data", str(f / "nowhere")], ["nowhere"]),
    "no score column": (lambda f: rows(f, lambda t: t.drop(columns="score")), ["manifest.csv", "score"]),
    "a score that is text": (text_score, ["manifest.csv", "row 6", "about 300"]),
    "a truncated clip": (truncated, ["manifest.csv", "p3-1.mp4", "--skip-bad"]),
    "a corrupt volume": (corrupt_volume, ["manifest.csv", "p3-1.nii.gz", "--skip-bad"]),
    "one patient": (lambda f: rows(f, lambda t: t[t["patient"] == "p0"]), ["patient"]),
    "a class absent": (lambda f: rows(f, lambda t: t.assign(score="300")), ["worse"]),
    "an unknown key": (lambda f: ["--set", "train.speed=2"], ["train.speed", "train.lr"]),
    "object storage": (lambda f: ["--out", "s3://bucket"], ["s3://bucket", "s3://BUCKET/FOLDER"]),
    "a wrong value": (lambda f: ["--set", "train.lr=fast"], ["train.lr", "fast"]),
    "an unknown arm": (lambda f: ["--arms", "mse,best"], ["best", "contrastive"]),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_bad_input_is_named_before_anything_starts(
    fault: str, manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "cohort"
    shutil.copytree(manifest.parent, folder)
    plant, words = FAULTS[fault]
    out = tmp_path / "results" / "lus"
    assert sweep(folder, out, *plant(folder)) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and "Traceback" not in error
    assert [word for word in words if word not in error] == []
    assert not out.exists()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--max-concurrent", "-1"),
        ("--max-concurrent", "0"),
        ("--devices-per-trial", "0"),
        ("--trials-per-gpu", "1.5"),
        ("--hung-after", "-1"),
        ("--hung-after", "nan"),
        ("--on-demand-after", "0"),
    ],
)
def test_numbers_that_cannot_be_are_refused(
    option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code: object = main(["lus", f"{option}={value}"])
    except SystemExit as ended_with:  # what is no number at all
        code = ended_with.code
    assert code == 2 and option in capsys.readouterr().err


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 60 MB, which holds one final encoder and not two."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=60m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("cannot mount a small file system (needs root)")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.long
@pytest.mark.ray
def test_a_full_disk_is_named_and_the_study_goes_on_when_there_is_room(
    manifest: Path, small_disk: Path, finished: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its trials have run before, and final runs alone are left: an encoder is what needs the room."""
    out = small_disk / "results" / "lus"
    for run in pd.read_parquet(finished / "trials.parquet")["run_hash"]:
        shutil.copytree(finished.parent / "runs" / run, out.parent / "runs" / run)
    assert sweep(manifest, out) == 1
    error = capfd.readouterr().err
    assert "the disk is full" in error and "rerun the same command" in error and "Traceback" not in error
    states = [json.loads(p.read_text())["state"] for p in out.parent.glob("runs/*/state.json")]
    assert states and set(states) <= {"complete", "stopped"}
    subprocess.run(["mount", "-o", "remount,size=600m", str(small_disk)], check=True)
    assert sweep(manifest, out) == 0
    pd.testing.assert_frame_equal(ledger(out), ledger(finished))


def test_an_unknown_study_lists_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ct"]) == 2
    assert "lus, mri" in capsys.readouterr().err


@pytest.mark.long
def test_a_study_may_come_from_a_users_own_file(manifest: Path, tmp_path: Path, capsys) -> None:
    file = tmp_path / "own.py"
    file.write_text(
        "import dataclasses, search_spaces.lus as lus\nSTUDY = dataclasses.replace(lus.STUDY, name='own')\n"
    )
    arguments = ["--data", str(manifest), "--out", str(tmp_path / "r" / "own"), *SMALL, "--plan"]
    assert main([str(file), *arguments]) == 0
    assert "Study own" in capsys.readouterr().out
    assert not list((tmp_path / "r").glob("*"))

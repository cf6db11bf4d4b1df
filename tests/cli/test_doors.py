"""A sweep that cannot be is refused within a second, before anything is asked for, joined or made."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from learner_ray.core.config import Config
from learner_ray.core.files import write_json
from learner_ray.core.numerics import NUMERICS
from learner_ray.predict import main as predict
from learner_ray.run.spec import Patients, RunSpec, Source
from learner_ray.sweep import main
from learner_ray.train import main as train
from tests.small_sweep import sweep

AT_ONCE_S = 5.0
"""Without what takes longer, loading PyTorch among it. A busy machine is slow."""


def refused(code: int, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    error = capsys.readouterr().err
    assert code == 2 and error.startswith("error: ") and "Traceback" not in error
    assert [word for word in words if word not in error] == []


@pytest.mark.parametrize("out", ["taken", "taken/lus", "taken/a/lus", "root/lus"])
def test_results_cannot_lie_in_or_below_a_file(
    out: str, manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken").write_text("")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "runs").write_text("")
    start = time.monotonic()
    code = sweep(manifest, tmp_path / out)
    assert time.monotonic() - start < AT_ONCE_S
    refused(code, ["runs is a file" if "root" in out else f"{tmp_path}/taken is a file"], capsys)


@pytest.mark.parametrize("below", ["", "cache"])
def test_a_cache_or_home_that_is_a_file_is_named_with_its_variable(
    below: str,
    manifest: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "taken").write_text("")
    monkeypatch.setenv("LEARNER_RAY_CACHE", str(tmp_path / "taken" / below))
    refused(sweep(manifest, tmp_path / "lus"), [f"{tmp_path}/taken", "LEARNER_RAY_CACHE"], capsys)
    monkeypatch.delenv("LEARNER_RAY_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path / "taken" / below))
    refused(sweep(manifest, tmp_path / "lus"), [f"{tmp_path}/taken", "LEARNER_RAY_CACHE"], capsys)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--trials", "-1"], ["--trials"]),
        (["--trials", "1000000000"], ["--trials"]),
        (["--seeds", "0"], ["--seeds"]),
        (["--folds", "1"], ["--folds"]),
        (["--folds", "1000000000"], ["--folds"]),
        (["--folds", "13"], ["--folds 13", "12 patients"]),
        (["--repeats", "0"], ["--repeats"]),
        (["--audits", "-1"], ["--audits"]),
        (["--epochs", "-1"], ["train.epochs"]),
        (["--epochs", "99999999999"], ["train.epochs"]),
        (["--set", "train.lr=inf"], ["train.lr"]),
        (["--set", "seed=5"], ["--seed"]),
        (["--set", "train.lr"], ["KEY=VALUE"]),
        (["--arms", ""], ["has no arm ''"]),
        (["--factor", "train.lr=nan,1", "--factor", "data.augment=0,1", "--arms", "mse"], ["train.lr"]),
        (["--data", ""], ["--data"]),
        (["--data", "~nobody-of-this-name/x"], ["nobody-of-this-name"]),
        (["--data", "a" * 5000], ["too long"]),
        (["--data", "/dev/null"], ["/dev/null"]),
        (["--data", "http://127.0.0.1:1/x"], ["s3://BUCKET/FOLDER"]),
        (["--out", ""], ["--out"]),
        (["--with-models"], ["--cluster"]),
    ],
)
def test_numbers_and_paths_that_cannot_be_are_refused(
    options: list[str], words: list[str], manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused(sweep(manifest, tmp_path / "lus", *options), words, capsys)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("target", ["itself", "nothing"])
def test_a_link_that_leads_nowhere_is_no_data(
    target: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    link = tmp_path / "link.csv"
    link.symlink_to(link if target == "itself" else tmp_path / target)
    refused(sweep(link, tmp_path / "lus"), [str(tmp_path)], capsys)


@pytest.mark.parametrize(
    "options", [["--arms", "best"], ["--set", "train.lr=-1"], ["--folds", "1"], ["--out", ""]]
)
def test_a_mistake_is_told_before_a_cluster_is_asked(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["lus", "--data", "/shared/lus", "--cluster", str(tmp_path / "none.yaml"), *options])
    refused(code, [options[0].removeprefix("--set").removeprefix("--arms")], capsys)


CLUSTER_FILES = [
    b"",
    b"[]",
    b"a: [b",
    b"\xff\xfe\x00\x01",
    b"provider: {}",
    b"cluster_name: [1]\nprovider: {}",
]


@pytest.mark.parametrize("content", [None, *CLUSTER_FILES])
def test_a_cluster_file_that_is_none_is_refused_before_anything_is_asked_for(
    content: bytes | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "c.yaml"
    if content is not None:
        file.write_bytes(content)
    code = main(["lus", "--data", "/shared/lus", "--cluster", str(file)])
    refused(code, [f"--cluster {file}", "cluster/README.md"], capsys)


@pytest.mark.parametrize(
    "damage",
    [b"[]", b"{}", b"\xff", b"", b"[" * 100_000],
    ids=["list", "empty object", "binary", "empty", "deep"],
)
@pytest.mark.parametrize("name", ["study.json", "trials.parquet"])
def test_a_damaged_study_to_fix_from_is_named(
    name: str, damage: bytes, tmp_path: Path, manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    searched = tmp_path / "searched"
    searched.mkdir()
    whole = dict.fromkeys(
        ("study", "cohort_hash", "split_hash", "trials", "folds", "repeats", "seeds", "space")
    )
    (searched / "study.json").write_text(json.dumps({**whole, "arms": []}))
    (searched / name).write_bytes(damage)
    code = main(["lus", "--data", str(manifest), "--fixed-from", str(searched)])
    remedy = "restore it" if name == "study.json" else "name the results folder of a searched study"
    refused(code, [str(searched), remedy], capsys)


STUDY = "import dataclasses, search_spaces.lus as lus\n"
STUDY += "def space(suggest, config): {}\nSTUDY = dataclasses.replace(lus.STUDY, space=space, {})\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def f(:\n", ["SyntaxError", "line 1"]),
        ("x = 1\n1 / 0\n", ["line 2", "ZeroDivisionError"]),
        ("import sys\nsys.exit(7)\n", ["line 2", "SystemExit"]),
        ("import nothing_of_this_name\n", ["nothing_of_this_name"]),
        ("\x00", ["own.py"]),
        (
            STUDY.format("pass", "profiles={'laptop': {'train.lr': float('nan')}}"),
            ["own.py, line 3", "train.lr"],
        ),
        (STUDY.format("pass", "arms=(lus.STUDY.arms[0], 3)"), ["line 3"]),
    ],
)
def test_a_study_file_that_cannot_be_read_names_its_line(
    text: str, words: list[str], tmp_path: Path, manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own.py").write_text(text)
    refused(main([str(tmp_path / "own.py"), "--data", str(manifest)]), words, capsys)


@pytest.mark.parametrize("name", ["nowhere.json", "", "taken/config.json"])
def test_a_run_that_is_none_is_not_repeated(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken").write_text("")
    refused(train([str(tmp_path / name)]), [str(tmp_path / name)], capsys)


@pytest.mark.parametrize("out", ["taken/x.csv", "taken/a/x.csv", "folder.csv", "x.txt"])
def test_predictions_that_could_not_be_written_are_not_made(
    out: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken").write_text("")
    (tmp_path / "folder.csv").mkdir()
    code = predict([str(tmp_path), "scan.mp4", "--out", str(tmp_path / out)])
    refused(code, [f"{tmp_path}/{out.partition('/')[0]}"], capsys)


@pytest.mark.parametrize("numerics", [NUMERICS - 1, NUMERICS + 1])
def test_a_run_of_other_numerics_is_not_repeated(
    numerics: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = RunSpec(config=Config(), patients=Patients(), source=Source(path="nowhere"), numerics=numerics)
    write_json(tmp_path / "config.json", spec.to_dict())
    words = [f"{tmp_path}/config.json", f"numerics {numerics}", f"numerics {NUMERICS}", "--out"]
    refused(train([str(tmp_path / "config.json")]), words, capsys)
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


@pytest.mark.parametrize("threads", [0, -1, 1.5, "x"])
def test_a_run_of_no_thread_is_not_repeated(
    threads: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = RunSpec(config=Config(), patients=Patients(), source=Source(path="nowhere")).to_dict()
    write_json(tmp_path / "config.json", {**spec, "threads": threads})
    refused(train([str(tmp_path / "config.json")]), [f"{tmp_path}/config.json", "threads"], capsys)

"""What every command owes its user: an answer at once to --help and to a mistake."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path

import pytest

import learner_ray
from learner_ray.cli.main import VERBS, main
from learner_ray.cli.options import sweep_parser
from learner_ray.core.config import all_keys, field_meanings
from learner_ray.study.options import SweepOptions, flag
from tests.imaging.make_scans import write_listed

LOADED = """
import json, runpy, sys
sys.argv = sys.argv[1:]
try:
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
except SystemExit as ended:
    print("ENDED", ended.code, *sorted({name.partition(".")[0] for name in sys.modules}))
"""

OURS = {"analysis", "learner_ray", "search_spaces"}
FOR_TABLES = {"numpy", "pandas"}
"""What a mistake in a cohort may load beside: half a second."""
HEAVY = {
    "av", "decord", "jinja2", "matplotlib", "nibabel", "numpy", "optuna", "pandas", "pyarrow", "ray", "scipy",
    "sklearn", "tensorboard", "torch", "yaml",
}  # fmt: skip


def packages(*command: str) -> tuple[str, set[str]]:
    """Exit code of a command, and the packages that it has loaded."""
    line = [sys.executable, "-c", LOADED, *command]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    _, code, *names = done.stdout.splitlines()[-1].split()
    return code, {name for name in names if name not in sys.stdlib_module_names}


@pytest.mark.parametrize(
    "command", ["sweep", "train", "predict", "check", *(f"cli.main {verb}" for verb in VERBS)]
)
def test_help_and_a_misspelt_option_load_our_own_modules_alone(command: str) -> None:
    for arguments, expected in ((["--help"], "0"), (["x", "--ouf"], "2")):
        code, loaded = packages(*f"learner_ray.{command}".split(), *arguments)
        assert code == expected and loaded & OURS
        assert not loaded & HEAVY


def test_help_lists_every_option_and_every_key_with_its_meaning() -> None:
    said = " ".join(sweep_parser("sweep").format_help().split())
    for option, meaning in field_meanings(SweepOptions).items():
        assert flag(option) in said and meaning.split(". ")[0].split()[-1].rstrip(".") in said
    assert len(field_meanings(SweepOptions)) == len(fields(SweepOptions))
    for name, key in all_keys().items():
        assert name == "seed" or f" {name} {' '.join(key.meaning.split())}" in said
        assert key.meaning, f"{name} has no text below its field"


@pytest.mark.parametrize("verb", ["train", "predict", "explain", "export"])
def test_each_verb_that_opens_a_run_takes_the_study_file_of_its_code(
    verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([verb, "--help"])
    assert "--study FILE" in capsys.readouterr().out


@pytest.mark.parametrize("verb", ["sweep", "check", "predict"])
@pytest.mark.parametrize("limit", ["0", "nan", "inf"])
def test_a_limit_that_is_none_is_a_mistake(
    verb: str, limit: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {"sweep": ["lus"], "check": [str(tmp_path)], "predict": [str(tmp_path), "scan.png"]}[verb]
    code: int | str | None
    try:
        code = main([verb, *given, "--max-scan-gb", limit])
    except SystemExit as ended:
        code = ended.code
    assert code == 2
    said = capsys.readouterr().err
    assert "--max-scan-gb" in said and "must be a number above 0" in said


@pytest.mark.parametrize("arguments", [[], ["swep"], ["exprot"]])
def test_a_verb_that_there_is_not_is_a_mistake(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    error = capsys.readouterr().err
    assert ended.value.code == 2 and (not arguments or "'sweep'" in error)


def test_plan_is_a_sweep_with_plan_and_each_command_is_named_as_it_was_typed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for verb, shown in (("plan", "sweep"), ("sweep", "sweep"), ("check", "check"), ("draft", "draft")):
        with pytest.raises(SystemExit):
            main([verb, "--help"])
        assert capsys.readouterr().out.startswith(f"usage: learner-ray {shown} ")


def test_the_cache_is_listed_and_cleared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LEARNER_RAY_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache" / "pixels").mkdir(parents=True)
    (tmp_path / "cache" / "pixels" / "x").write_bytes(b"0" * 3_000_000)
    assert main(["cache", "list"]) == 0 and (tmp_path / "cache" / "pixels" / "x").exists()
    assert "3.0 MB" in capsys.readouterr().out
    assert main(["cache", "clear"]) == 0 and not list((tmp_path / "cache").iterdir())
    assert "3.0 MB" in capsys.readouterr().out


def test_the_cache_is_cleared_by_age_and_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LEARNER_RAY_CACHE", str(tmp_path / "cache"))
    pixels = tmp_path / "cache" / "pixels" / "64px-0"
    pixels.mkdir(parents=True)
    for number in range(3):
        (pixels / f"{number}.u8").write_bytes(b"0" * 2_000_000)
        os.utime(pixels / f"{number}.u8", (time.time() - (3 - number) * 86_400,) * 2)
    assert main(["cache", "clear", "--older-than", "60h"]) == 0
    assert "removed 2.0 MB of decoded pixels; 4.0 MB are left" in capsys.readouterr().out
    assert main(["cache", "clear", "--max-size", "2.5mb"]) == 0
    assert [path.name for path in pixels.iterdir()] == ["2.u8"]
    for wrong in (
        "clear --older-than 30",
        "clear --max-size 20XB",
        "clear --max-size -1GB",
        "list --max-size 1GB",
    ):
        with pytest.raises(SystemExit) as ended:
            main(["cache", *wrong.split()])
        assert ended.value.code == 2
    assert main(["cache", "list"]) == 0 and "64px-0/2.u8, used " in capsys.readouterr().out


PRINTING = ("core/locks.py",)
"""A file that prints into a file."""


def test_only_commands_print() -> None:
    root = Path(learner_ray.__file__).parent
    found = [
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        if any(
            isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print"
            for node in ast.walk(ast.parse(path.read_text()))
        )
    ]
    assert [name for name in found if not name.startswith(("cli/", *PRINTING))] == []


def test_help_of_the_report_loads_our_own_modules_alone() -> None:
    code, loaded = packages("analysis.report", "--help")
    assert code == "0" and not loaded & HEAVY


FOR_HEADERS = {"av", "nibabel", "pyarrow", "scipy"}
"""What a scan that is none may load beside: a fifth of a second."""


def test_a_scan_that_is_none_is_told_before_ray_and_torch_are_loaded(tmp_path: Path) -> None:
    listed = write_listed(tmp_path / "scans")
    (tmp_path / "scans" / "p2-1.png").write_bytes(b"no picture")
    for command in (
        ["learner_ray.cohort", "check", str(listed)],
        ["learner_ray.sweep", "lus", "--data", str(listed)],
    ):
        options = ["--modality", "lus"] if "check" in command else ["--out", str(tmp_path / "out")]
        code, loaded = packages(*command, "--folds", "2", *options)
        assert code == "2" and "av" in loaded and not loaded & (HEAVY - FOR_TABLES - FOR_HEADERS)


def test_a_mistake_in_a_cohort_waits_for_nothing_that_reads_scans(tmp_path: Path) -> None:
    """Seen: nibabel and scipy, which doubled the time."""
    for options in ([], ["--gallery", str(tmp_path / "g.html")]):
        code, loaded = packages("learner_ray.check", str(tmp_path / "none.csv"), *options)
        assert code == "2" and not loaded & (HEAVY - FOR_TABLES - {"pyarrow"})


@pytest.mark.parametrize(
    "options",
    [
        ["--set", "train.speed=2"],
        ["--arms", "mse,best"],
        ["--data", "nowhere"],
        ["--folds", "1"],
        ["--out", "s3://bucket"],
        ["--address", "127.0.0.1:1"],
    ],
)
def test_a_mistake_is_answered_before_ray_and_torch_are_loaded(manifest: Path, options: list[str]) -> None:
    code, loaded = packages("learner_ray.sweep", "lus", "--data", str(manifest), *options)
    assert code == "2" and not loaded & (HEAVY - FOR_TABLES - FOR_HEADERS)

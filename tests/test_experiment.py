"""The Python API: the same study as the command's, as objects and tables."""

from __future__ import annotations

import dataclasses
import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from learner_ray import Experiment, SweepOptions, load_study
from learner_ray.cli.options import options_of, sweep_parser
from learner_ray.core.errors import UserError
from learner_ray.study.options import arguments_of
from learner_ray.study.repeat_command import equivalent_command
from learner_ray.sweep import main

OPTIONS = SweepOptions(
    profile="laptop",
    folds=2,
    trials=2,
    epochs=3,
    max_concurrent=1,
    arms=("mse", "majority"),
    set={"data.image_size": 32, "data.frames": 2},
)


@pytest.mark.long
@pytest.mark.ray
@pytest.mark.usefixtures("formula_runs")
def test_a_study_is_planned_run_and_looked_at_without_a_command(
    manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "my results" / "lus"
    experiment = Experiment("lus", manifest, out, OPTIONS)
    with pytest.raises(UserError, match="run it first"):
        experiment.runs()
    report = experiment.plan()
    assert report.runs == 2 * (2 + 1) + 2 and f"In all {report.runs} runs" in str(report)
    assert not out.exists()
    result = experiment.run()
    assert result.complete and result.runs == report.runs and result.failed == 0 and result.out == out
    assert "Study lus" not in capsys.readouterr().out, "nobody asked the library to show its messages"

    runs, table = experiment.runs(), experiment.table()
    assert len(runs) == report.runs and "mse/r0-f1/trial-001" in set(runs["label"])
    assert {(out.parent / "runs" / run).is_dir() for run in runs["run_hash"]} == {True}
    assert set(runs["state"]) <= {"complete", "stopped"} and (runs["device_seconds"] >= 0).all()
    assert list(table["arm"]) == ["mse", "majority"]

    command = json.loads((out / "study.json").read_text())["command"]
    assert command.startswith("learner-ray sweep lus --data ") and f"--out '{out}'" in command
    assert main(shlex.split(command)[2:]) == 0
    assert "All runs are already complete." in capsys.readouterr().out


@pytest.mark.long
@pytest.mark.ray
@pytest.mark.usefixtures("joined")
def test_the_command_and_the_api_give_the_same_plan(
    manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = Experiment("lus", manifest, tmp_path / "lus", OPTIONS).plan().plan
    given = ["lus", "--data", str(manifest), "--out", str(tmp_path / "lus"), *arguments_of(OPTIONS)]
    parsed = sweep_parser("sweep").parse_args(given)
    again = Experiment(parsed.study, parsed.data, parsed.out, options_of(parsed)).plan().plan

    def hashes(groups):
        return [group.spec(group.config, final=final).hash for group in groups for final in (False, True)]

    assert hashes(plan.groups) == hashes(again.groups)


def test_options_are_frozen_and_checked_where_they_are_written() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        OPTIONS.trials = 3  # type: ignore[misc]
    with pytest.raises(TypeError):
        SweepOptions("lus")  # type: ignore[call-arg, misc, arg-type]
    assert SweepOptions(arms="mse,majority").arms == ("mse", "majority")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"profile": "huge"}, "--profile is 'huge': choose laptop"),
        ({"sampler": "best"}, "--sampler is 'best'"),
        ({"folds": 1}, "--folds must be 2"),
        ({"trials": 1.5}, "--trials must be a whole number"),
        ({"max_concurrent": 0}, "--max-concurrent must be a whole number of 1"),
        ({"hung_after": float("nan")}, "--hung-after"),
        ({"set": {"seed": 1}}, "--seed N"),
        ({"half": True}, "give --factor"),
        ({"fixed_arm": "mse"}, "give --fixed-from"),
        ({"factor": {"train.lr": (1, 2)}}, "--arms contrastive"),
        ({"factor": {"train.lr": (1, 2)}, "fixed_from": "results/lus"}, "give one of them"),
    ],
    ids=str,
)
def test_an_option_that_cannot_be_is_refused(values: dict[str, object], words: str) -> None:
    with pytest.raises(UserError, match=words):
        SweepOptions(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "options",
    [
        SweepOptions(),
        SweepOptions(missing=("-1", "-99"), arms=("w/o shift", "mse"), extend=True, hung_after=2.5),
        SweepOptions(
            factor={"loss.margin": ("0.1", "0.4"), "train.lr": ("1", "2")}, arms=("mse",), half=True
        ),
        SweepOptions(set={"train.lr": "0.1", "encoder.norm": "group"}, retry="failed", address="local"),
    ],
    ids=str,
)
def test_options_and_command_lines_say_the_same(options: SweepOptions) -> None:
    parsed = sweep_parser("sweep").parse_args(["lus", *arguments_of(options)])
    assert options_of(parsed) == options


def test_what_repeats_an_experiment_is_quoted_and_names_a_study_that_a_command_can_find() -> None:
    study = load_study("lus")
    assert equivalent_command(study, "my scans", None, OPTIONS).startswith(
        "learner-ray sweep lus --data 'my scans' --profile laptop --arms mse,majority"
    )
    for change in ({"name": "mine"}, {"reference": "weighted"}):
        other = dataclasses.replace(study, **change)  # type: ignore[arg-type]
        assert equivalent_command(other, None, "out", SweepOptions(trials=2)) == (
            f"Experiment(<Study {other.name}>, out='out', options=SweepOptions(trials=2)).run()"
        )


def test_the_package_itself_is_light() -> None:
    code = "import sys, learner_ray; learner_ray.SweepOptions; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"numpy", "pandas", "torch", "ray", "optuna"} & set(done.stdout.split())
    with pytest.raises(ImportError, match="nothing"):
        from learner_ray import nothing  # noqa: F401

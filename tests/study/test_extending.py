"""The worked examples of docs/extending.md from a source on, run as they stand there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from learner_ray.cohort import load
from learner_ray.core.components import KINDS
from learner_ray.imaging.source import with_layout
from learner_ray.run.folder import RunFolder
from learner_ray.run.spec import Source
from learner_ray.study.fake_clock import Curve, MemoryStore, simulate
from learner_ray.study.plan import make_plan
from learner_ray.study.profiles import Size
from learner_ray.study.pruner_choice import pruner_text
from learner_ray.study.study import Study
from learner_ray.study.study_file import load_study
from learner_ray.training.selection_metrics import selection_metric
from tests.study.small_study import curve, runner, story

PAGE = (Path(__file__).parents[2] / "docs" / "extending.md").read_text()
PAGE = PAGE[PAGE.index("## A source") : PAGE.index("## A report metric")]


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    """The page's study file, read as a user's is."""
    for registry in KINDS.values():
        monkeypatch.setattr(registry, "_added", {})
    (tmp_path / "ward3.py").write_text("\n\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)))
    return load_study(str(tmp_path / "ward3.py"))


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    rng, lines, folder = np.random.default_rng(0), ["patient,visit,score"], tmp_path / "pictures"
    for patient in (f"P{number:02d}" for number in range(12)):
        (folder / patient).mkdir(parents=True)
        for visit, score in enumerate(rng.permutation([100, 110, 200, 210]), 1):
            pixels = rng.integers(0, 255 * score // 400, (40, 40)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / patient / f"{visit}.png")
            lines.append(f"{patient},{visit},{score}")
    (folder / "scores.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.mark.usefixtures("study")
def test_the_page_s_source_and_metric(pictures: Path) -> None:
    cohort = load(pictures, modality="lus")
    assert cohort.summary()["pairs"] == 36 and cohort.name == "ward 3"
    metric, y = selection_metric("worsening_found"), np.array([0, 0, 1])
    assert metric.compute(y, np.eye(3)[y], np.array([0, 1, 1])) == 0.5
    assert np.isnan(metric.compute(y[2:], np.eye(3)[y[2:]], y[2:]))


def test_the_page_s_pruner_decides_alike_after_a_kill(study: Study) -> None:
    assert pruner_text(study.pruner).startswith("Patience(epochs=3) [")

    def train(spec):  # type: ignore[no-untyped-def]
        falls = int(spec.hash, 16) % 2
        rows = [{**row, "selection_score": row["epoch"] * (1 - 2 * falls)} for row in curve(spec)]
        return Curve(rows=curve(spec) if spec.is_final else rows)

    undisturbed, store = runner(MemoryStore(), pruner=study.pruner), MemoryStore()
    simulate(undisturbed, train, devices=2)
    simulate(runner(store, pruner=study.pruner), train, devices=2, until=20)
    resumed = runner(store, pruner=study.pruner)
    simulate(resumed, train, devices=2)
    assert story(resumed) == story(undisturbed)
    assert {o.state for o in undisturbed.outcomes if o.planned.role == "trial"} == {"complete", "stopped"}


@pytest.mark.long
@pytest.mark.slow
def test_a_process_that_knows_nothing_of_the_study_file_trains_its_runs(
    study: Study, pictures: Path, tmp_path: Path
) -> None:
    source = with_layout(Source(path=str(pictures), modality="lus"))
    cohort = load(pictures, modality="lus")
    plan = make_plan(
        study,
        cohort,
        source,
        profile="laptop",
        size=Size(folds=2, repeats=1, seeds=1, trials=1),
        arms=("mse",),
        edits={"train.epochs": 1},
        precision="float32",
        seed=0,
        threads=1,
    )
    group = plan.groups[0]
    folder = RunFolder(tmp_path / "run")
    folder.write_spec(group.spec(group.config, final=False))
    command = [sys.executable, "-m", "learner_ray.train", str(folder.path / "config.json")]
    refused = subprocess.run(command, capture_output=True, text=True)
    assert refused.returncode == 2
    assert "--study FILE" in refused.stderr
    done = subprocess.run([*command, "--study", study.file], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    code, result, *_ = done.stdout.splitlines()
    assert code.startswith(f"Code of {study.file} runs, SHA-256 ")
    assert 0 <= json.loads(result)["selection_score"] <= 1

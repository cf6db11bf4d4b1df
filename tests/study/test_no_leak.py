"""Nothing of the outer test patients decides anything before the final test, in any arm.

Each arm runs twice on the same folds, once on a cohort whose test patients' pixels, scores and site are
poison. What a search and a final run fix before the test must come out the same, bit for bit: progress of
every epoch, stopping, suggestions, the setting chosen, the encoder, the scale of its scores, class shares and
classifiers. (How patients are dealt to folds does see everyone's classes, once, before anything is trained.)
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest
import torch

from learner_ray.cohort import load
from learner_ray.run.folder import RunFolder, RunStore
from learner_ray.run.progress import without_clock
from learner_ray.run.spec import Source
from learner_ray.study.plan import make_plan
from learner_ray.study.planned_run import FoldSearchSpec, PlannedRun
from learner_ray.study.profiles import Size
from learner_ray.study.runner import StudyRunner
from learner_ray.training.progression import Progression
from learner_ray.training.run import TrainingRun
from search_spaces.lus import STUDY
from tests.small_cohort import write_clip, write_cohort

pytestmark = pytest.mark.slow

SMALL = {"data.image_size": 32, "data.frames": 2, "train.batch_size": 8, "train.epochs": 1}
HALVED = {"train.epochs": 3}
"""Long enough for a rung."""


@dataclass(frozen=True)
class Groups:
    """Every arm's first fold, on the cohort as it is and on the poisoned one."""

    clean: dict[str, FoldSearchSpec]
    poisoned: dict[str, FoldSearchSpec]


def source(manifest: Path) -> Source:
    return Source(path=str(manifest), cohort_hash=load(manifest, modality="lus").hash)


def planned(manifest: Path, arms: list[str], trials: int) -> list[FoldSearchSpec]:
    edits = SMALL | (HALVED if trials > 1 else {})
    plan = make_plan(
        STUDY,
        load(manifest, modality="lus"),
        source(manifest),
        profile="laptop",
        size=Size(folds=3, repeats=1, seeds=1, trials=trials),
        arms=arms,
        edits=edits,
        precision="float32",
        seed=0,
        threads=1,
    )
    return [group for group in plan.groups if group.fold.fold == 0]


def poison(manifest: Path, patients: tuple[str, ...]) -> None:
    """Makes scans of some patients white noise of the extremes, their scores the ends of the range."""
    rng = np.random.default_rng(1)
    table = pd.read_csv(manifest)
    theirs = table["patient"].isin(patients)
    for name in table["path"][theirs]:
        write_clip(manifest.parent / name, int(rng.integers(0, 9)), rng, frames=3)
    table.loc[theirs, "score"] = np.resize([477, 40, 40, 477], theirs.sum())
    table.loc[theirs, "site"] = "elsewhere"
    table.to_csv(manifest, index=False)


@pytest.fixture(scope="module")
def groups(tmp_path_factory: pytest.TempPathFactory) -> Groups:
    manifest = write_cohort(tmp_path_factory.mktemp("clean") / "cohort", visits=3)
    table = pd.read_csv(manifest)
    table.assign(site=np.resize(["Ulm", "Ulm", "Ulm", "Bonn", "Bonn", "Bonn"], len(table))).to_csv(
        manifest, index=False
    )
    arms = [arm.name for arm in STUDY.arms]
    found = {group.arm.name: group for group in planned(manifest, arms, trials=1)}
    found["contrastive"] = planned(manifest, ["contrastive"], trials=3)[0]
    poisoned = tmp_path_factory.mktemp("poisoned") / "cohort"
    shutil.copytree(manifest.parent, poisoned)
    poison(poisoned / "manifest.csv", found["mse"].fold.test)
    other = source(poisoned / "manifest.csv")
    return Groups(found, {name: replace(group, source=other) for name, group in found.items()})


def before_the_test(
    group: FoldSearchSpec, root: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[dict[str, Any], Any]:
    """All that was fixed before the final test, by the readable name of the run, and the final test."""
    fits: list[dict[str, Any]] = []
    fit = Progression.fit

    def watched(*args: Any) -> Progression:
        fitted = fit(*args)
        fits.append(fitted.state())
        return fitted

    fixed: dict[str, Any] = {}
    tested = None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction="maximize")
    runner = StudyRunner([group], STUDY.space, RunStore(root), lambda name: study)
    with monkeypatch.context() as patch:
        patch.setattr(Progression, "fit", watched)
        while (planned := runner.next_run()) is not None:
            folder = run(runner, planned)
            fixed[planned.label] = [
                planned.parameters,
                planned.spec.config,
                planned.spec.patients,
                folder.state,
            ]
            fixed[planned.label] += [numbers(folder), fits.copy(), encoder(folder)]
            tested = pd.read_parquet(folder.path / "predictions.parquet") if planned.final else None
            fits.clear()
    fixed["search"] = [(t.params, t.values, t.state, t.intermediate_values) for t in study.trials]
    return fixed, tested


def run(runner: StudyRunner, planned: PlannedRun) -> RunFolder:
    folder = runner.store.folder(planned.spec.hash)
    training = TrainingRun(planned.spec, folder)
    while (row := training.advance()) is not None:
        if not runner.row(planned, row):
            break
    runner.ended(planned)
    return folder


def numbers(folder: RunFolder) -> str:
    """As text, in which NaN equals NaN."""
    return json.dumps([without_clock(row) for row in folder.progress()])


def encoder(folder: RunFolder) -> tuple[bytes, ...]:
    """Every tensor of a final run's network, and the scale of its scores."""
    if not (folder.path / "encoder.pt").exists():
        return ()
    weights = torch.load(folder.path / "encoder.pt", weights_only=True)
    scale = json.loads((folder.path / "predictor.json").read_text())["score_scale"]
    return (*(tensor.numpy().tobytes() for tensor in weights.values()), json.dumps(scale).encode())


QUICK = {"contrastive", "earlier_score", "covariates", "shuffled_labels"}
"""One arm of each way in which an arm is fitted; all arms are among the long tests."""


@pytest.mark.parametrize(
    "arm",
    [pytest.param(a.name, marks=() if a.name in QUICK else pytest.mark.long) for a in STUDY.arms],
)
def test_poisoned_test_patients_change_nothing_before_the_final_test(
    arm: str, groups: Groups, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clean, tested = before_the_test(groups.clean[arm], tmp_path / "clean", monkeypatch)
    poisoned, poison_tested = before_the_test(groups.poisoned[arm], tmp_path / "poisoned", monkeypatch)
    searched = not STUDY.arm(arm).control
    assert len(clean) == 2 + (groups.clean[arm].trials if searched else 0)
    assert all(
        fixed[3]["state"] in ("complete", "stopped") for name, fixed in clean.items() if name != "search"
    )
    for name in clean:
        assert poisoned[name] == clean[name], name
    # The poison was there to be read: the final test saw it.
    assert (poison_tested["y_true"].to_numpy() != tested["y_true"].to_numpy()).any()
    sees_scans = STUDY.base.with_values(dict(STUDY.arm(arm).edits)).progression.uses_encoder
    if sees_scans:
        assert (poison_tested["distance"].to_numpy() != tested["distance"].to_numpy()).all()

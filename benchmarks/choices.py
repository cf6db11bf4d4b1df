"""Which settings of the progression classifier, and which weights, predict new patients best.

    python benchmarks/choices.py lus
    python benchmarks/choices.py mri --data DIR --seeds 3

Trains the study's base configuration on every outer fold and seed, twice: with part of the patients kept for
the classifier, and on all of them. Every choice is judged on the outer test patients, from the same encoders.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from learner_ray.cohort import Cohort
from learner_ray.core.config import Config
from learner_ray.imaging.source import PHANTOM, open_cohort
from learner_ray.run.spec import Patients, Source
from learner_ray.study.plan import make_plan
from learner_ray.study.planned_run import FoldSearchSpec
from learner_ray.study.profiles import PROFILES
from learner_ray.study.study_file import load_study
from learner_ray.training.data import Data, data_of
from learner_ray.training.metrics import progression_metrics, spearman
from learner_ray.training.precision import fastest_precision
from learner_ray.training.pretraining import Pretraining
from learner_ray.training.process import make_deterministic
from learner_ray.training.progression import Embedded, Progression

DECAY = 0.98
"""Of the averaged weights, per step: a window of some 50 steps, four to five epochs of these cohorts."""
CHOICES: dict[str, dict[str, Any]] = {
    "logistic": {},
    "ordinal": {"progression.head": "ordinal"},
    "mlp": {"progression.head": "mlp"},
    "input both": {"progression.input": "both"},
    "score difference": {"progression.input": "score_difference"},
    "ordered pairs": {"progression.pairs": "ordered"},
    "ordinal, ordered pairs": {"progression.head": "ordinal", "progression.pairs": "ordered"},
    "argmax": {"progression.decision": "argmax"},
    "fine-tuned 4 epochs": {"progression.finetune_epochs": 4},
}


def plan_groups(modality: str, data: str | None, arm: str = "mse") -> tuple[list[FoldSearchSpec], Cohort]:
    """One group per outer fold of an arm, at the laptop profile and without a search."""
    study = load_study(modality)
    path = f"{PHANTOM}{modality}" if data is None else str(Path(data).resolve())
    source = Source(path=path, modality=modality)
    cohort = open_cohort(source)
    plan = make_plan(
        study, cohort, replace(source, cohort_hash=cohort.hash), profile="laptop",
        size=replace(PROFILES["laptop"], trials=0), arms=[arm], edits={},
        precision=fastest_precision("cpu"), seed=0, threads=1,
    )  # fmt: skip
    return plan.groups, cohort


def train(config: Config, data: Data, patients: Patients) -> tuple[Pretraining, AveragedModel]:
    """A pretrained encoder, and the running average of its weights."""
    pretraining = Pretraining(config, data, patients.pretrain)
    averaged = AveragedModel(pretraining.network, multi_avg_fn=get_ema_multi_avg_fn(DECAY), use_buffers=True)
    pretraining._step.optimizer.register_step_post_hook(
        lambda *_: averaged.update_parameters(pretraining.network)
    )
    while pretraining.epoch < pretraining.last_epoch:
        pretraining.run_epoch()
    return pretraining, averaged


def judge(config: Config, data: Data, patients: Patients, pretraining: Pretraining) -> dict[str, float]:
    """Fits the classifier that a configuration asks for and tests it."""
    settings, pairs = config.progression, data.cohort.pairs()
    fitted = data.cohort.ordered_pairs() if settings.pairs == "ordered" else pairs
    fitted = fitted[fitted["patient"].isin(patients.classifier)].reset_index(drop=True)
    tested = pairs[pairs["patient"].isin(patients.test)].reset_index(drop=True)
    embedded = pretraining.embed((*patients.classifier, *patients.test))
    progression = Progression.fit(settings, fitted, data.of(patients.classifier), embedded, config.seed)
    if settings.finetune_epochs:
        network = copy.deepcopy(pretraining.network)
        pretraining.config = config
        progression = pretraining.finetune(progression, fitted)
        embedded = pretraining.embed(patients.test)
        pretraining.network = network
    scans = data.of(patients.test)
    p = progression.predict(tested, scans, embedded)
    metrics = progression_metrics(tested["y"].to_numpy(int), p, progression.decide(p))
    return metrics | {"score_spearman": score_spearman(scans, embedded)}


def score_spearman(scans: pd.DataFrame, embedded: Embedded) -> float:
    """Spearman correlation of predicted and true scores of the test patients' scans."""
    predicted = np.array([embedded.predictions[scan] for scan in scans["scan"]])
    return spearman(predicted, scans["score"].to_numpy(float))


def rows_of(group: FoldSearchSpec, number: int) -> list[dict[str, Any]]:
    """All choices on one fold and seed."""
    make_deterministic(1)
    data = data_of(group.source, group.config)
    rows = []
    for who in ("held_out", "same"):
        base = replace(group.config.with_values({"progression.patients": who}),
                       seed=group.run_seed("final", number))  # fmt: skip
        patients = replace(group, config=base).patients(final=True)
        pretraining, averaged = train(base, data, patients)
        for name, metrics in judged(base, data, patients, pretraining, averaged):
            where = {"fold": group.fold.fold, "repeat": group.fold.repeat, "seed": number}
            rows.append({**where, "patients": who, "choice": name, **metrics})
    return rows


def judged(
    base: Config, data: Data, patients: Patients, pretraining: Pretraining, averaged: AveragedModel
) -> Iterator[tuple[str, dict[str, float]]]:
    """The metrics of every choice from one pretrained encoder."""
    for name, edits in CHOICES.items():
        yield name, judge(base.with_values(edits), data, patients, pretraining)
    pretraining.network = averaged.module  # type: ignore[assignment]
    yield f"averaged weights ({DECAY})", judge(base, data, patients, pretraining)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("modality", choices=("lus", "mri"))
    parser.add_argument("--data", help="manifest or folder (default: the phantom)")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="CSV of every fold and seed")
    args = parser.parse_args()
    groups, cohort = plan_groups(args.modality, args.data)
    data_of(groups[0].source, groups[0].config)  # the pixel cache, before two ask for it
    runs = [(group, number) for group in groups for number in range(args.seeds)]
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        rows = [row for found in pool.map(rows_of, *zip(*runs, strict=True)) for row in found]
    table = pd.DataFrame(rows)
    if args.out:
        table.to_csv(args.out, index=False)
    folds, seeds = len(groups), args.seeds
    print(f"{cohort.name}{', phantom' if cohort.phantom else ''}: {folds} folds x {seeds} seeds")
    names = ["macro_f1", "balanced_accuracy", "log_loss", "score_spearman"]
    mean = table.groupby(["choice", "patients"], sort=False)[names].mean()
    # Against the first row, fold by fold and seed by seed.
    keys = ["repeat", "fold", "seed"]
    reference = table[(table["choice"] == "logistic") & (table["patients"] == "held_out")]
    both = table.merge(reference[[*keys, "macro_f1"]], on=keys, suffixes=("", "_reference"))
    difference = both["macro_f1"] - both["macro_f1_reference"]
    spread = difference.groupby([both["choice"], both["patients"]])
    mean["d macro_f1"], mean["se"] = spread.mean(), spread.std() / np.sqrt(folds * seeds)
    print(mean.round(3).to_string())


if __name__ == "__main__":
    main()

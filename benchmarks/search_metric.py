"""What a search should maximise: which validation metric chooses the settings that do best on new patients.

    python benchmarks/search_metric.py lus --configs 24 --out search_lus.csv
    python benchmarks/search_metric.py mri --data DIR --configs 16 --out search_mri.csv
    python benchmarks/search_metric.py --replay search_lus.csv

Records one set of trainings: random configurations of the contrastive arm's space, every outer fold, two
inner divisions of its training patients; after every epoch of the later half of the schedule both the
validation and the outer test patients are predicted. Then replays many searches over them: some of the
configurations are drawn, a metric chooses one and an epoch in every fold, and its test metrics are averaged.
"""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.choices import judge, plan_groups
from learner_ray.core.config import Config
from learner_ray.run.spec import Patients
from learner_ray.study.planned_run import FoldSearchSpec
from learner_ray.study.study import Suggest
from learner_ray.study.study_file import load_study
from learner_ray.training.data import data_of
from learner_ray.training.pretraining import DivergedError, Pretraining
from learner_ray.training.process import make_deterministic

INNER = 2
METRICS = {
    "log_loss": -1, "macro_f1": 1, "kappa": 1, "accuracy": 1, "balanced_accuracy": 1, "score_spearman": 1
}  # fmt: skip
"""Sign that makes the larger the better."""


def configurations(modality: str, group: FoldSearchSpec, n: int) -> list[Config]:
    """Random points of the arm's space, the same for every fold."""
    study = load_study(modality)
    probe = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    made = []
    for _ in range(n):
        suggest = Suggest(probe.ask(), group.fixed)
        study.space(suggest, group.config)
        made.append(replace(group.config.with_values(suggest.values), seed=group.run_seed("trial")))
    return made


def patients_of(group: FoldSearchSpec, inner: int) -> tuple[Patients, Patients]:
    """Roles for validating and for testing one encoder; the parts change roles with the inner division."""
    parts = group.fold.parts
    validation, *rest = parts[inner:] + parts[:inner]
    training = tuple(p for part in rest for p in part)
    return (Patients(pretrain=training, classifier=training, test=validation),
            Patients(pretrain=training, classifier=training, test=group.fold.test))  # fmt: skip


def rows_of(group: FoldSearchSpec, inner: int, number: int, config: Config) -> list[dict[str, Any]]:
    """Validation and test metrics of one training, by epoch."""
    make_deterministic(1)
    data = data_of(group.source, config)
    validating, testing = patients_of(group, inner)
    pretraining = Pretraining(config, data, validating.pretrain)
    rows = []
    where = {"fold": group.fold.fold, "inner": inner, "config": number}
    while pretraining.epoch < pretraining.last_epoch:
        try:
            pretraining.run_epoch()
        except DivergedError:
            break
        if 2 * pretraining.epoch >= pretraining.last_epoch:
            row: dict[str, Any] = {**where, "epoch": pretraining.epoch}
            for role, who in (("validation", validating), ("test", testing)):
                metrics = judge(config, data, who, pretraining)
                row |= {f"{role}/{name}": value for name, value in metrics.items()}
            rows.append(row)
    return rows


def record(modality: str, data: str | None, configs: int) -> pd.DataFrame:
    """One row per outer fold, inner division, configuration and epoch."""
    groups, _ = plan_groups(modality, data, "contrastive")
    data_of(groups[0].source, groups[0].config)  # the pixel cache, before two ask for it
    runs = [
        (group, inner, number, config)
        for group in groups
        for inner in range(INNER)
        for number, config in enumerate(configurations(modality, group, configs))
    ]
    rows = []
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        for done, found in enumerate(pool.map(rows_of, *zip(*runs, strict=True)), start=1):
            rows += found
            if done % 10 == 0 or done == len(runs):
                print(f"{done} / {len(runs)} trainings", flush=True)
    return pd.DataFrame(rows)


def replay(table: pd.DataFrame, trials: int, searches: int = 2000) -> pd.DataFrame:
    """Mean test metrics of what each rule chose, over simulated searches of so many trials.

    The interval's unit is the search, and all share the same patients: it says how the rules compare on this
    cohort, not on another.
    """
    rng = np.random.default_rng(0)
    names = sorted(table["config"].unique())
    drawn = [rng.choice(names, trials, replace=False) for _ in range(searches)]
    keys = ["fold", "config", "epoch"]
    averaged = table.groupby(keys, as_index=False).mean().assign(inner=0)
    rules: dict[str, tuple[pd.DataFrame, str, int]] = {}
    for name, sign in METRICS.items():
        rules[name] = (table, f"validation/{name}", sign)
        rules[f"{name}, mean of {INNER} inner divisions"] = (averaged, f"validation/{name}", sign)
    rules["(best on test: macro_f1)"] = (table, "test/macro_f1", 1)
    rules["(best on test: log_loss)"] = (table, "test/log_loss", -1)
    rows = []
    for rule, (source, column, sign) in rules.items():
        chosen = np.array([_chosen(source, column, sign, who) for who in drawn])
        mean, error = chosen.mean(0), chosen.std(0) / np.sqrt(searches)
        rows.append((rule, *mean, error[0]))
    random = table[["test/macro_f1", "test/log_loss", "test/kappa"]].mean()
    rows.append(("(any configuration and epoch)", *random, 0.0))
    return pd.DataFrame(rows, columns=["chosen by", "macro_f1", "log_loss", "kappa", "se macro_f1"])


def _chosen(source: pd.DataFrame, column: str, sign: int, configs: Any) -> Any:
    """Test metrics of the best row of every fold and inner division, averaged."""
    own = source[source["config"].isin(configs)]
    score = (sign * own[column]).fillna(-np.inf)
    best = score.groupby([own["fold"], own["inner"]]).idxmax()
    return own.loc[best, ["test/macro_f1", "test/log_loss", "test/kappa"]].mean().to_numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("modality", nargs="?", choices=("lus", "mri"))
    parser.add_argument("--data", help="manifest or folder (default: the phantom)")
    parser.add_argument("--configs", type=int, default=24)
    parser.add_argument("--out", type=Path, default=Path("search_metric.csv"))
    parser.add_argument("--replay", type=Path, help="only replay what was recorded")
    args = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if args.replay is None:
        record(args.modality, args.data, args.configs).to_csv(args.out, index=False)
    table = pd.read_csv(args.replay or args.out)
    for trials in (4, 8):
        print(f"{table['config'].nunique()} configurations recorded, searches of {trials} trials")
        print(replay(table, trials).round(4).to_string(index=False))


if __name__ == "__main__":
    main()

"""A synthetic results folder, as the sweep would leave it, with a planted effect per arm."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

ARMS = {"mse": 0.0, "contrastive": 0.0, "weighted": 0.8}
CONTROLS = {"majority": -9.0}
LABELS = {
    "mse": "MSE Loss", "contrastive": "MSE + Contrastive Loss", "weighted": "MSE + Weighted Contrastive Loss",
    "majority": "Majority class",
}  # fmt: skip


def make_ledger(
    skill: Mapping[str, float],
    *,
    patients: int = 60,
    folds: int = 5,
    repeats: int = 1,
    seeds: int = 3,
    signal: float = 0.8,
    seed: int = 0,
    classes: tuple[float, float, float] = (0.3, 0.4, 0.3),
) -> pd.DataFrame:
    """Pairs whose log-odds for the true class rise by ``signal + skill``.

    Noise is shared by the pairs of a patient (clustered), between arms (same data) and by the runs of one
    fold and seed (training noise). Skill below -5 makes an arm that always says "same" with the cohort's
    class shares.
    """
    rng = np.random.default_rng(seed)
    per_patient = rng.choice([1, 2, 3], patients, p=[0.6, 0.25, 0.15])
    patient = np.repeat(np.arange(patients), per_patient)
    pair = np.concatenate([np.arange(n) for n in per_patient])
    y = rng.choice(3, len(patient), p=classes)
    shared = rng.normal(size=(patients, 3))[patient] + 0.7 * rng.normal(size=(len(patient), 3))
    change = (y - 1) * rng.uniform(26, 80, len(y)) + rng.normal(0, 8, len(y))
    frames = []
    for repeat in range(repeats):
        fold = rng.permutation(np.arange(patients) % folds)[patient]
        for s in range(seeds):
            for arm, extra in skill.items():
                noise = 0.3 * rng.normal(size=(folds, 3))[fold] + 0.7 * rng.normal(size=(len(patient), 3))
                logits = 1.2 * shared + noise
                logits[np.arange(len(y)), y] += signal + extra
                if extra < -5:
                    logits = np.tile(np.log([0.3, 0.4, 0.3]), (len(y), 1))
                frames.append(_rows(arm, repeat, fold, s, patient, pair, y, change, logits, rng, extra > -5))
    return pd.concat(frames, ignore_index=True)


def _rows(
    arm: str, repeat: int, fold: Any, seed: int, patient: Any, pair: Any, y: Any, change: Any, logits: Any,
    rng: np.random.Generator, encoder: bool,
) -> pd.DataFrame:  # fmt: skip
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    earlier = rng.uniform(150, 450, len(y))
    nothing = np.full(len(y), np.nan)
    return pd.DataFrame(
        {
            "arm": arm, "repeat": repeat, "fold": fold, "seed": seed,
            "run_hash": [f"{arm}-r{repeat}f{f}s{seed}" for f in fold],
            "patient": [f"p{i:04d}" for i in patient],
            "pair": [f"p{i:04d}-{j}" for i, j in zip(patient, pair, strict=True)],
            "site": np.where(patient % 2, "A", "B"), "device": np.where(patient % 3, "x", "y"),
            "interval_days": rng.integers(1, 30, len(y)), "y_true": y,
            "y_pred": p.argmax(1), "p_worse": p[:, 0], "p_same": p[:, 1], "p_better": p[:, 2],
            "score_earlier": earlier, "score_later": earlier + change, "change": change,
            "pred_earlier": earlier if encoder else nothing,
            "pred_later": earlier + change if encoder else nothing,
            "distance": np.abs(change) / 1000 + rng.uniform(0, 0.1, len(y)) if encoder else nothing,
        }
    )  # fmt: skip


def make_trials(
    arms: Mapping[str, float], *, folds: int = 5, trials: int = 12, seed: int = 0
) -> pd.DataFrame:
    """Searched trials whose selection score peaks at a learning rate of 1e-3; some did not complete."""
    rng = np.random.default_rng(seed)
    n = len(arms) * folds * trials
    lr, margin = 10 ** rng.uniform(-5, -1, n), rng.uniform(0.05, 1, n)
    state = rng.choice(["complete", "stopped", "failed", "diverged"], n, p=[0.7, 0.2, 0.05, 0.05])
    score = -0.1 * (np.log10(lr) + 3) ** 2 - 1 + 0.02 * rng.normal(size=n)
    epochs = np.where(state == "complete", 12, rng.integers(1, 9, n))
    return pd.DataFrame(
        {
            "arm": np.repeat(list(arms), folds * trials), "repeat": 0,
            "fold": np.tile(np.repeat(np.arange(folds), trials), len(arms)),
            "trial": np.tile(np.arange(trials), len(arms) * folds),
            "run_hash": [f"t{i:05d}" for i in range(n)],
            "config.train.lr": lr, "config.loss.margin": margin,
            "state": state,
            "selection_score": np.where(np.isin(state, ["failed", "diverged"]), np.nan, score),
            "best_epoch": np.minimum(epochs, 10), "epochs": epochs, "device_seconds": 20.0 * epochs,
            "error": np.where(state == "failed", "CUDA out of memory", None),
        }
    )  # fmt: skip


def make_scores(
    arms: Mapping[str, float], *, patients: int = 60, folds: int = 5, seeds: int = 3
) -> pd.DataFrame:
    """Two scans of two visits per patient; predictions follow the score with noise."""
    rng = np.random.default_rng(1)
    patient = np.repeat(np.arange(patients), 4)
    score = rng.uniform(150, 450, patients)[patient] + np.tile([0, 0, 30, 30], patients)
    frames = [
        pd.DataFrame(
            {
                "arm": arm, "repeat": 0, "fold": patient % folds, "seed": s,
                "run_hash": [f"{arm}-r0f{f}s{s}" for f in patient % folds],
                "patient": [f"p{i:04d}" for i in patient], "visit": np.tile([0, 0, 1, 1], patients),
                "scan": [f"s{i}" for i in range(len(patient))], "score": score,
                "predicted": score + rng.normal(0, 80, len(score)),
            }
        )
        for arm in arms for s in range(seeds)
    ]  # fmt: skip
    return pd.concat(frames, ignore_index=True)


def make_permutations(
    folder: Path, arm: str, *, right: float = 0.7, leak: float = 0.0, permutations: int = 40
) -> pd.DataFrame:
    """What an arm's final runs made of permuted labels: right by chance, and by more where they leak.

    Args:
        folder: the study, whose final runs these are.
        right: how often the labels as they are were predicted.
        leak: how often permuted ones were known.
    """
    rng = np.random.default_rng(0)
    ledger = pd.read_parquet(folder / "ledger.parquet")
    rows = []
    for run, own in ledger[ledger["arm"] == arm].groupby(["arm", "repeat", "fold", "seed", "run_hash"]):
        labels = dict(zip(("arm", "repeat", "fold", "seed", "run_hash"), run, strict=True))
        for permutation in range(permutations + 1):
            y = own["y_true"].to_numpy() if not permutation else rng.permutation(own["y_true"])
            known = rng.random(len(y)) < (leak if permutation else right)
            called = np.where(known, y, rng.integers(0, 3, len(y)))
            counts = np.bincount(y * 3 + called, minlength=9)
            named = {f"n_{code // 3}{code % 3}": int(n) for code, n in enumerate(counts)}
            rows.append({**labels, "permutation": permutation, **named})
    return pd.DataFrame(rows)


def make_info(
    ledger: pd.DataFrame, name: str = "lus", modality: str = "lus", **changes: Any
) -> dict[str, Any]:
    pairs = ledger.drop_duplicates("pair")
    counts = [int((pairs["y_true"] == c).sum()) for c in range(3)]
    arms = [
        {"name": a, "label": LABELS.get(a, a), "edits": {"loss.name": a}, "control": a in CONTROLS,
         "searched": ["train.lr", "loss.margin"]}
        for a in dict.fromkeys(ledger["arm"])
    ]  # fmt: skip
    score = {
        "name": "S/F ratio",
        "unit": "",
        "low": 50,
        "high": 480,
        "healthier": "higher",
        "change_threshold": 25,
    }
    cohort = {
        "name": "synthetic", "hash": "c0ffee", "phantom": False, "temporal": True, "score": score,
        "patients": pairs["patient"].nunique(), "patients_with_pairs": pairs["patient"].nunique(),
        "visits": len(pairs) * 2, "scans": len(pairs) * 4, "pairs": len(pairs), "class_counts": counts,
    }  # fmt: skip
    info = {
        "study": name, "modality": modality, "cohort": cohort, "protocol": "nested", "profile": "laptop",
        "arms": arms, "reference": "mse", "primary_metric": "macro_f1", "folds": 5,
        "repeats": int(ledger["repeat"].nunique()), "seeds": int(ledger["seed"].nunique()), "trials": 12,
        "selection_metric": "log_loss", "seed": 0, "command": f"python -m learner_ray.sweep {name}",
        "versions": {"python": "3.11", "torch": "2.6"}, "git_sha": "abc1234", "split_hash": "5eed",
        "created": "2026-01-01T00:00:00Z", "hardware": {"cpu": "2 cores", "gpus": 0}, "left_out": [],
    }  # fmt: skip
    return {**info, **changes}


def make_results(folder: Path, *, modality: str = "lus", seed: int = 0, **changes: Any) -> Path:
    """Write study.json and its three tables to ``folder`` and return it."""
    folder.mkdir(parents=True)
    ledger = make_ledger({**ARMS, **CONTROLS}, seed=seed)
    info = make_info(ledger, folder.name, modality, **changes)
    phantom = bool(info["cohort"]["phantom"])
    head = {"study": folder.name, "modality": modality, "cohort": "synthetic", "phantom": phantom}
    ledger = ledger.assign(**head, protocol=info["protocol"])
    (folder / "study.json").write_text(json.dumps(info))
    ledger.to_parquet(folder / "ledger.parquet")
    make_trials(ARMS, seed=seed).to_parquet(folder / "trials.parquet")
    make_scores(ARMS).assign(study=folder.name).to_parquet(folder / "scores.parquet")
    return folder


def change_ledger(folder: Path, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    ledger = pd.read_parquet(folder / "ledger.parquet")
    change(ledger).to_parquet(folder / "ledger.parquet")


def fail_runs(folder: Path, reason: str = "planted", **which: Any) -> None:
    """Final runs of these arms, folds or seeds failed: the majority class stands for them."""

    def failed(ledger: pd.DataFrame) -> pd.DataFrame:
        bad = np.logical_and.reduce([ledger[name].isin(np.atleast_1d(v)) for name, v in which.items()])
        ledger.loc[bad, ["y_pred", "p_worse", "p_same", "p_better"]] = [1, 0.3, 0.4, 0.3]
        ledger.loc[bad, ["pred_earlier", "pred_later", "distance"]] = np.nan
        return ledger.assign(imputed=bad | ledger.get("imputed", False))

    change_ledger(folder, failed)
    ledger = pd.read_parquet(folder / "ledger.parquet").drop_duplicates(["arm", "repeat", "fold", "seed"])
    finals = ledger[["arm", "repeat", "fold", "seed", "run_hash"]]
    state, error = np.where(ledger["imputed"], [["failed"], [reason]], [["complete"], [""]])
    finals.assign(state=state, error=error).to_parquet(folder / "finals.parquet")


def lose_runs(folder: Path, **which: Any) -> None:
    """Final runs of these arms, folds or seeds have not ended."""
    change_ledger(
        folder,
        lambda ledger: ledger[
            ~np.logical_and.reduce([ledger[name].isin(np.atleast_1d(v)) for name, v in which.items()])
        ],
    )

"""Studies made from others: factorials of two-level factors, and arms around the winner of a search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd

from learner_ray.core.config import Config, typed
from learner_ray.core.errors import UserError
from learner_ray.run.old_names import columns_now
from learner_ray.study.study import Arm, Study
from learner_ray.study.study_json import read_study

Settings = Mapping[tuple[int, int], Mapping[str, Any]]
"""The values that a search chose, by dotted key, for every repeat and fold."""


@dataclass(frozen=True, kw_only=True)
class Winner:
    """The arm of a searched study that did best on inner validation patients, and what was chosen for it."""

    folder: str
    arm: str
    arms: tuple[str, ...]
    """The names of all arms of that study."""
    settings: Settings
    cohort_hash: str
    split_hash: str


def read_winner(folder: Path, arm: str | None = None) -> Winner:
    """The winner of a finished study, by the mean over folds of its best validation selection score.

    Test patients decide nothing: each fold keeps the values that its own search chose.

    Raises:
        UserError: the folder holds no finished search of the arm.
    """
    remedy = "name the results folder of a searched study"
    try:
        info = read_study(folder / "study.json")
        trials = pd.read_parquet(folder / "trials.parquet")
        trials = trials.rename(columns=columns_now(trials.columns))
    except (OSError, ValueError) as error:  # pyarrow's own errors are of these
        raise UserError(f"{folder} holds no searched study ({error}): {remedy}") from error
    if info is None or "state" not in trials:
        raise UserError(f"{folder} holds no searched study: {remedy}")
    try:
        return _winner(folder, arm, info, trials)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UserError(
            f"{folder}: study.json or trials.parquet is damaged ({type(error).__name__}: {error}): {remedy}"
        ) from error


def _winner(folder: Path, arm: str | None, info: Mapping[str, Any], trials: pd.DataFrame) -> Winner:
    searched = {a["name"]: a["searched"] for a in info["arms"] if a["searched"] and not a["control"]}
    complete = trials[(trials["state"] == "complete") & trials["selection_score"].notna()]
    # As in the search itself: the earlier one of two trials that tie.
    ordered = complete.sort_values(["selection_score", "trial"], ascending=[False, True], kind="stable")
    best = ordered.drop_duplicates(["arm", "repeat", "fold"])
    groups = info["folds"] * info["repeats"]
    whole = [name for name in searched if (best["arm"] == name).sum() == groups]
    if not whole or (arm and arm not in whole):
        raise UserError(
            f"{folder}: no complete search of {f'arm {arm!r}' if arm else 'any arm'}: searched in all "
            f"{groups} folds are: {', '.join(whole) or 'none'}"
        )
    means = best.groupby("arm")["selection_score"].mean()
    chosen = arm or max(whole, key=lambda name: float(means[name]))
    settings = {
        (int(row["repeat"]), int(row["fold"])): {
            **{key: _plain(row[f"config.{key}"]) for key in searched[chosen]},
            "train.stop_epoch": int(row["best_epoch"]),
        }
        for _, row in best[best["arm"] == chosen].iterrows()
    }
    return Winner(
        folder=str(folder), arm=chosen, arms=tuple(a["name"] for a in info["arms"]), settings=settings,
        cohort_hash=info["cohort_hash"], split_hash=info["split_hash"],
    )  # fmt: skip


def around(study: Study, winner: Winner) -> Study:
    """The winner, the other arms of its study, and the winner with one factor taken out or put in.

    Taken out is each of the winner's own edits (with its loss go the settings of the loss); put in is
    each edit of the study's other arms that the winner lacks, losses apart, which are arms of their own.
    """
    own = study.arm(winner.arm)
    arms = [own, *(study.arm(name) for name in winner.arms if name != winner.arm)]
    for key in own.edits:
        gone = "loss." if key == "loss.name" else key
        kept = {k: v for k, v in own.edits.items() if not k.startswith(gone)}
        arms.append(Arm(name=f"{own.name}-no-{_short(key)}", label=f"{own.label}, no {key}", edits=kept))
    for other in study.arms:
        for key, value in other.edits.items():
            if not other.control and key != "loss.name" and own.edits.get(key) != value:
                arms.append(
                    Arm(
                        name=f"{own.name}-{_short(key)}-{_text(value)}".replace(",", ";"),
                        label=f"{own.label}, {key} {_text(value)}",
                        edits={**own.edits, key: value},
                    )
                )
    return _with_arms(study, _distinct(arms, study.base), own.name)


def factorial(study: Study, arm: Arm, factors: Mapping[str, tuple[Any, Any]], *, half: bool = False) -> Study:
    """Every combination of two-level factors on top of one arm, all low being the reference.

    Args:
        factors: dotted key to its low and its high value.
        half: the half fraction that contains the reference (defining relation: the product of all signs).
            Main effects of three factors are then aliased with interactions of two, of four with those of
            three (Montgomery, Design and Analysis of Experiments, ch. 8).

    Raises:
        UserError: fewer than two factors, or three for a half; levels that are equal or not valid.
    """
    least = 3 if half else 2
    if len(factors) < least:
        raise UserError(f"a {'half ' if half else ''}factorial needs at least {least} factors (--factor)")
    levels = {key: tuple(typed(key, value) for value in pair) for key, pair in factors.items()}
    for key, (low, high) in levels.items():
        if low == high:
            raise UserError(f"--factor {key}: both levels are {_text(low)}")
    arms = []
    for signs in product((0, 1), repeat=len(levels)):
        if half and sum(signs) % 2:
            continue
        edits = {key: levels[key][sign] for key, sign in zip(levels, signs, strict=True)}
        words = [f"{_short(key)} {_text(value)}" for key, value in edits.items()]
        name = "_".join(word.replace(" ", "-") for word in words)
        arms.append(Arm(name=name, label=", ".join(words), edits={**arm.edits, **edits}))
    return _with_arms(study, arms, arms[0].name)


def _with_arms(study: Study, arms: Sequence[Arm], reference: str) -> Study:
    names = tuple(arm.name for arm in arms)
    return replace(study, arms=tuple(arms), default_arms=names, reference=reference)


def _distinct(arms: Sequence[Arm], base: Config) -> list[Arm]:
    """The first of every set of arms that come to the same configuration."""
    found: dict[str, Arm] = {}
    for arm in arms:
        found.setdefault(base.with_values(dict(arm.edits)).to_json() + arm.seed_offset, arm)
    return list(found.values())


def _plain(value: Any) -> Any:
    """A value of a table as Python's own type, as JSON wants it."""
    return value.item() if hasattr(value, "item") else value


def _short(key: str) -> str:
    return key.rpartition(".")[2]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)

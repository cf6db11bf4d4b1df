"""Studies made from others: factorials of two-level factors, and arms around the winner of a search."""

from __future__ import annotations

import math
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

OF_A_LOSS = ("loss.name", "loss.weighting")
"""Edits that make an arm one of another loss, and are no factors of any: a weight means nothing without its
weighting."""

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
    weighting: str
    """What a weight among the settings means, ``loss.weighting`` of the arm; empty where none is."""
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
    own = next(a for a in info["arms"] if a["name"] == chosen)
    longer = own.get("epochs_factor", 1)
    settings = {
        (int(row["repeat"]), int(row["fold"])): {
            **{key: _plain(row[f"config.{key}"]) for key in searched[chosen]},
            # Of a schedule as long as the other arms'.
            "train.stop_epoch": math.ceil(row["best_epoch"] / longer),
        }
        for _, row in best[best["arm"] == chosen].iterrows()
    }
    return Winner(
        folder=str(folder), arm=chosen, arms=tuple(a["name"] for a in info["arms"]), settings=settings,
        weighting=_weighting(info, own) if "loss.contrastive_weight" in searched[chosen] else "",
        cohort_hash=info["cohort_hash"], split_hash=info["split_hash"],
    )  # fmt: skip


def _weighting(info: Mapping[str, Any], arm: Mapping[str, Any]) -> str:
    base = info.get("base", {}).get("loss", {}).get("weighting", "raw")
    given = {**arm.get("edits", {}), **info.get("set", {})}
    return str(given.get("loss.weighting", base))


def around(study: Study, winner: Winner) -> Study:
    """The winner, the other arms of its study, and the winner with one factor taken out or put in.

    Taken out is each of the winner's own edits (with its loss go the settings of the loss); put in is
    each edit of the study's other arms that the winner lacks, losses apart, which are arms of their own.
    """
    study = _as_weighed(study, winner.weighting)
    own = study.arm(winner.arm)
    arms = [own, *(study.arm(name) for name in winner.arms if name != winner.arm)]
    for key in (key for key in own.edits if key != "loss.weighting"):
        gone = "loss." if key == "loss.name" else key
        kept = {k: v for k, v in own.edits.items() if not k.startswith(gone)}
        name = f"{own.name}-no-{_short(key)}"
        arms.append(replace(own, name=name, label=f"{own.label}, no {key}", edits=kept, seed_offset=""))
    for other in study.arms:
        for key, value in other.edits.items():
            if not other.control and key not in OF_A_LOSS and own.edits.get(key) != value:
                name = f"{own.name}-{_short(key)}-{_text(value)}".replace(",", ";")
                label, edits = f"{own.label}, {key} {_text(value)}", {**own.edits, key: value}
                arms.append(replace(own, name=name, label=label, edits=edits, seed_offset=""))
    return _with_arms(study, _distinct(arms, study.base), own.name)


def _as_weighed(study: Study, weighting: str) -> Study:
    """The study with the weights of its arms meaning what they meant to a search: an older recipe had raw
    ones where there are balanced ones now."""
    if not weighting:
        return study
    edits = [dict(arm.edits) for arm in study.arms]
    for own in edits:
        own |= {"loss.weighting": weighting} if "loss.weighting" in own else {}
    arms = tuple(replace(arm, edits=own) for arm, own in zip(study.arms, edits, strict=True))
    return replace(study, arms=arms)


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


def compute_matched(study: Study, arms: Sequence[str] | None = None) -> Study:
    """Adds two arms that give the reference the device time of a loss of two views.

    One sees two views of each scan in every step, as such a loss does, and learns from them by regression
    alone: what differs is the loss and nothing else. The other trains twice as long on one view: as many
    images in all, in twice the steps. Either may be the stronger opponent.

    Args:
        study: the study, whose reference has one view.
        arms: names of the arms that run beside them; None for the study's default arms.

    Returns:
        the study with the two arms, unless it has arms of these names; all that run are its default arms.

    Raises:
        UserError: the reference has two views already.
    """
    own = study.arm(study.reference)
    if own.edits.get("loss.views", study.base.loss.views) == 2:
        raise UserError(f"--match compute: the reference {own.name} has two views already: leave it out")
    label, views = f"{own.label}, two views", {**own.edits, "loss.views": 2}
    longer = f"{own.label}, twice the epochs"
    matched = (
        replace(own, name=f"{own.name}_two_views", label=label, edits=views),
        replace(own, name=f"{own.name}_twice_as_long", label=longer, epochs_factor=2 * own.epochs_factor),
    )
    known = {arm.name for arm in study.arms}
    names = [*(study.default_arms if arms is None else arms), *(arm.name for arm in matched)]
    return replace(
        study,
        arms=(*study.arms, *(arm for arm in matched if arm.name not in known)),
        default_arms=tuple(dict.fromkeys(names)),
    )


def _with_arms(study: Study, arms: Sequence[Arm], reference: str) -> Study:
    names = tuple(arm.name for arm in arms)
    return replace(study, arms=tuple(arms), default_arms=names, reference=reference)


def _distinct(arms: Sequence[Arm], base: Config) -> list[Arm]:
    """The first of every set of arms that come to the same configuration."""
    found: dict[str, Arm] = {}
    for arm in arms:
        config = base.with_values(dict(arm.edits)).to_json()
        found.setdefault(f"{config}{arm.seed_offset}, {arm.epochs_factor}", arm)
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

"""What each arm of a study searched, and from where, for a ``study.json`` of before both stood in it.

Until then one range of a key was for all arms that searched it, and a search began with the configuration's
own values, except for those outside their range, which were drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from learner_ray.core.config import Config, flatten


def old_searches(study: Mapping[str, Any]) -> dict[str, Any]:
    """``spaces`` and ``starts`` of a study, by arm and dotted key; empty where the study is damaged.

    Args:
        study: the content of a ``study.json`` under its present names.
    """
    try:
        base, edits = flatten(study["base"]), study.get("set", {})
        spaces = {arm["name"]: {key: study["space"][key] for key in arm["searched"]} for arm in study["arms"]}
        starts = {
            arm["name"]: _start(Config.from_dict({**base, **arm["edits"], **edits}), spaces[arm["name"]])
            for arm in study["arms"]
        }
    except (KeyError, TypeError, AttributeError):
        return {}
    return {"spaces": spaces, "starts": starts}


def _start(config: Config, space: Mapping[str, Any]) -> dict[str, Any]:
    own = flatten(config.to_dict())
    return {key: own[key] for key, range_ in space.items() if key in own and _holds(range_, own[key])}


def _holds(range_: Mapping[str, Any], value: Any) -> bool:
    """Whether a recorded distribution of Optuna holds a value."""
    attributes = range_["attributes"]
    if "choices" in attributes:
        return value in attributes["choices"]
    return bool(attributes["low"] <= value <= attributes["high"])

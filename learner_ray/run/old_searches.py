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
    arms, base, space = study.get("arms"), study.get("base"), study.get("space")
    if not (isinstance(arms, list) and isinstance(base, dict) and isinstance(space, dict)):
        return {}
    spaces: dict[str, Any] = {}
    starts: dict[str, Any] = {}
    for arm in arms:
        if not isinstance(arm, dict) or not {"name", "edits", "searched"} <= arm.keys():
            return {}
        spaces[arm["name"]] = searched = {key: space[key] for key in arm["searched"] if key in space}
        own = flatten(Config.from_dict({**flatten(base), **arm["edits"], **study.get("set", {})}).to_dict())
        starts[arm["name"]] = {
            key: own[key] for key, range_ in searched.items() if key in own and _holds(range_, own[key])
        }
    return {"spaces": spaces, "starts": starts}


def _holds(range_: Mapping[str, Any], value: Any) -> bool:
    """Whether a recorded distribution of Optuna holds a value."""
    attributes = range_["attributes"]
    if "choices" in attributes:
        return value in attributes["choices"]
    return bool(attributes["low"] <= value <= attributes["high"])

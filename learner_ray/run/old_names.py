"""The names of commit 3590708, under which results folders lie on disks and run hashes were taken.

What those folders say is translated when it is read, and never rewritten. The hash of a run is still taken
over the old names, so that renaming a key trains nothing again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from learner_ray.core.config import Config, flatten
from learner_ray.core.numerics import UNNAMED
from learner_ray.core.old_names import DEFAULTS, SINCE, key_now, key_then
from learner_ray.run.old_searches import old_searches


def keys_now(values: Mapping[str, Any]) -> dict[str, Any]:
    """A dictionary of dotted keys under their present names."""
    return {key_now(key): value for key, value in values.items()}


def config_then(values: Mapping[str, Any]) -> dict[str, Any]:
    """A nested configuration as commit 3590708 would have written it, for the hash of a run.

    Keys that came later are left out while they have the value under which the result is the old one.
    """
    flat = DEFAULTS | flatten(values)
    nested: dict[str, Any] = {}
    for key, value in flat.items():
        if key in SINCE and value == SINCE[key]:
            continue
        section, _, name = key_then(key).rpartition(".")
        (nested.setdefault(section, {}) if section else nested)[name] = value
    return nested


def row_now(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of ``progress.jsonl`` under its present names."""
    return {"selection_score" if key == "objective" else key: value for key, value in row.items()}


def columns_now(names: Iterable[str]) -> dict[str, str]:
    """The columns of ``trials.parquet`` and ``audits.parquet`` that were renamed, old to new."""
    renamed = {}
    for name in names:
        if name == "objective":
            renamed[name] = "selection_score"
        elif name.startswith("config."):
            renamed[name] = f"config.{key_now(name.removeprefix('config.'))}"
    return {old: new for old, new in renamed.items() if old != new}


def study_now(study: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a ``study.json`` under its present names."""
    now = {_STUDY_KEYS.get(key, key): value for key, value in study.items()}
    now.setdefault("numerics", UNNAMED)
    now.setdefault("parallel_trials", 1)
    now.setdefault("closed", None)
    if isinstance(now.get("base"), dict):
        # Whole: with the keys that came later, without those that its loss does not have and nobody set.
        now["base"] = Config.from_dict(now["base"]).to_dict()
    for key in ("set", "space"):
        if isinstance(now.get(key), dict):
            now[key] = keys_now(now[key])
    if isinstance(now.get("arms"), list):
        now["arms"] = [_arm_now(arm) for arm in now["arms"]]
    if not {"spaces", "starts"} & now.keys():
        now |= old_searches(now)
    if isinstance(now.get("fixed_at"), dict):
        settings = [{**s, "values": keys_now(s["values"])} for s in now["fixed_at"].get("settings", [])]
        now["fixed_at"] = {**now["fixed_at"], "settings": settings}
    return now


_STUDY_KEYS = {"scheduler": "pruner", "search_metric": "selection_metric"}


def _arm_now(arm: Any) -> Any:
    if not isinstance(arm, dict):
        return arm
    now = {"seed_offset" if key == "salt" else key: value for key, value in arm.items()}
    if isinstance(now.get("edits"), dict):
        now["edits"] = keys_now(now["edits"])
    if isinstance(now.get("searched"), list):
        now["searched"] = [key_now(key) for key in now["searched"]]
    return now

"""The names that older results folders use, translated to today's when a folder is read.

The rest of ``analysis`` knows today's names alone. ``learner_ray`` translates its own files by a table of its
own, for this package imports nothing of it. An old folder is never rewritten.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

CONFIG_SECTIONS = {"objective": "loss", "model": "encoder"}
"""Sections of a configuration."""
CONFIG_KEYS = {"progression.judged_by": "progression.selection_metric"}
"""Single keys of a configuration, dotted."""
STUDY_KEYS = {"scheduler": "pruner", "search_metric": "selection_metric"}
"""Keys of study.json."""
UNRECORDED = {"parallel_trials": 1, "closed": None}
"""What was so in every study whose study.json lacks the key."""
ARM_KEYS = {"salt": "seed_offset"}
"""Keys of an arm in study.json."""
COLUMNS = {"objective": "selection_score"}
"""Columns of trials.parquet and audits.parquet, and keys of a row of progress.jsonl."""
PARAMETER = "config."
"""Columns of trials.parquet that begin so hold a parameter under its dotted configuration key."""


def config_key(key: str) -> str:
    """Return today's name of a dotted configuration key: ``loss.margin`` for ``objective.margin``."""
    section, dot, rest = key.partition(".")
    renamed = CONFIG_SECTIONS.get(section, section) + dot + rest
    return CONFIG_KEYS.get(renamed, renamed)


def translated_columns(columns: Iterable[object]) -> dict[object, object]:
    """Map the old columns of a table to today's names, for ``DataFrame.rename``.

    An old column is left out where the table has one of the new name already.
    """
    names = list(columns)
    renamed = {name: _column(name) for name in names if isinstance(name, str)}
    return {old: new for old, new in renamed.items() if new != old and new not in names}


def _column(name: str) -> str:
    if name.startswith(PARAMETER):
        return PARAMETER + config_key(name.removeprefix(PARAMETER))
    return COLUMNS.get(name, name)


def translated_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of progress.jsonl under today's names."""
    return _renamed(row, COLUMNS)


def translated_study(info: Mapping[str, Any]) -> dict[str, Any]:
    """Return what study.json holds under today's names.

    Values that are not of the kind they must be are left as they are: the check of study.json names them.
    """
    study = UNRECORDED | _renamed(info, STUDY_KEYS)
    if isinstance(study.get("base"), dict):
        study["base"] = _nested(study["base"])
    study |= {name: _dotted(study[name]) for name in ("set", "space") if name in study}
    if isinstance(study.get("arms"), list):
        study["arms"] = [_arm(arm) if isinstance(arm, dict) else arm for arm in study["arms"]]
    fixed = study.get("fixed_at")
    if isinstance(fixed, dict) and isinstance(fixed.get("settings"), list):
        settings = [
            {**setting, "values": _dotted(setting.get("values"))} if isinstance(setting, dict) else setting
            for setting in fixed["settings"]
        ]
        study["fixed_at"] = {**fixed, "settings": settings}
    return study


def _arm(arm: dict[str, Any]) -> dict[str, Any]:
    new = _renamed(arm, ARM_KEYS)
    if "edits" in new:
        new["edits"] = _dotted(new["edits"])
    if isinstance(new.get("searched"), list):
        new["searched"] = [config_key(key) if isinstance(key, str) else key for key in new["searched"]]
    return new


def _nested(base: dict[str, Any]) -> dict[str, Any]:
    """A whole configuration: sections of keys."""
    new = _renamed(base, CONFIG_SECTIONS)
    for name, section in new.items():
        if isinstance(section, dict):
            keys = {key: config_key(f"{name}.{key}").removeprefix(f"{name}.") for key in section}
            new[name] = _renamed(section, keys)
    return new


def _dotted(values: Any) -> Any:
    """An object whose keys are dotted configuration keys; anything else as it is."""
    return _renamed(values, {key: config_key(key) for key in values}) if isinstance(values, dict) else values


def _renamed(values: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Rename keys, values and order unchanged; an old key yields to one that has the new name already."""
    kept = (key for key in values if names.get(key, key) == key or names[key] not in values)
    return {names.get(key, key): values[key] for key in kept}

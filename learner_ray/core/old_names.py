"""The configuration keys of commit 3590708, under which results folders and study files lie on disks."""

from __future__ import annotations

from typing import Any

RENAMED = {
    "model.shift_fraction": "encoder.shift_fraction",
    "model.norm": "encoder.norm",
    "model.weights": "encoder.weights",
    "model.projection_dim": "encoder.projection_dim",
    "objective.name": "loss.name",
    "objective.regression_weight": "loss.regression_weight",
    "objective.contrastive_weight": "loss.contrastive_weight",
    "objective.margin": "loss.margin",
    "objective.threshold": "loss.threshold",
    "objective.weighted": "loss.weighted",
    "objective.temperature": "loss.temperature",
    "objective.bandwidth": "loss.bandwidth",
    "objective.bins": "loss.bins",
    "objective.pairs": "loss.pairs",
    "progression.judged_by": "progression.selection_metric",
}
"""Configuration keys that were renamed, old to new."""

DEFAULTS: dict[str, Any] = {
    "loss.margin": 0.2,
    "loss.threshold": 0.5,
    "loss.weighted": False,
    "loss.temperature": 0.0,
    "loss.bandwidth": 1.0,
    "loss.bins": 5,
}
"""Defaults of keys that every old configuration had and that now belong to some losses only."""

SINCE: dict[str, Any] = {
    "encoder.name": "tsm_resnet18",
    "train.deterministic": True,
    "data.crop": "columns",
    "data.mask": "columns",
    "loss.boundary": 0.0,
    "loss.weighting": "raw",
    "loss.views": 0,
    "progression.endpoint": "progression",
    "data.levels": "extent",
    "data.mm_per_pixel": 0.0,
}
"""Keys that old configurations did not have, each with the value under which the result is the old one: also
where that is not the default of now."""

_OLD = {new: old for old, new in RENAMED.items()}
SECTIONS = {"model": "encoder", "objective": "loss"}
"""Sections, old to new."""


def key_now(key: str) -> str:
    """The name that a configuration key has now."""
    if key in RENAMED:
        return RENAMED[key]
    section, dot, name = key.partition(".")
    return f"{SECTIONS.get(section, section)}{dot}{name}"  # a key that some own component had


def key_then(key: str) -> str:
    """The name that a configuration key had, or would have had."""
    return _OLD.get(key, key)

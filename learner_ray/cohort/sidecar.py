"""The sidecar of a manifest, a JSON file that states the score and kind of the whole cohort.

``scans.csv`` may have a ``scans.score.json`` beside it. All keys are optional::

    {"name": "ward 3", "modality": "lus", "temporal": true, "phantom": false,
     "score": {"name": "S/F ratio", "unit": "", "low": 40, "high": 477, "healthier": "higher",
               "change_threshold": 25}}

``score`` may also be the name of a known score ("S/F ratio", "MMSE", "severity"), or give only the keys in
which it differs from one: ``{"name": "MMSE", "change_threshold": 3}``; without ``name`` the one meant is the
modality's (lus: S/F ratio, mri: MMSE).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from learner_ray.cohort.score import DEFAULTS, KNOWN, Score
from learner_ray.core.errors import UserError
from learner_ray.core.files import json_object

_KINDS: dict[str, type] = {"name": str, "modality": str, "temporal": bool, "phantom": bool}


@dataclass(frozen=True, kw_only=True)
class Sidecar:
    """What a sidecar, or the defaults of the modality, say of a whole cohort."""

    name: str
    """Name that tables and messages use."""
    modality: str
    """``lus``, ``mri`` or any other name."""
    score: Score
    """The score of its visits."""
    temporal: bool = True
    """Whether a later visit is later in time."""
    phantom: bool = False
    """Whether the scans were made up by a program."""


def sidecar_path(manifest: Path) -> Path:
    """The path of a manifest's sidecar, whether it exists or not."""
    return manifest.with_name(f"{manifest.stem}.score.json")


def read_sidecar(manifest: Path, *, modality: str) -> Sidecar:
    """A manifest's sidecar, or the defaults of the modality where it has none.

    Raises:
        UserError: the sidecar is no JSON object, a key or value is not allowed, or no score is known.
    """
    path = sidecar_path(manifest)
    stated = _read(path) if path.exists() else {}
    for key, value in stated.items():
        if key != "score" and not isinstance(value, _KINDS.get(key, ())):
            known = ", ".join([*_KINDS, "score"])
            needed = f"must be {_KINDS[key].__name__}" if key in _KINDS else f"is unknown; known: {known}"
            raise UserError(f"{path}: key {key!r} {needed}")
    stated.setdefault("modality", modality)
    folder = manifest.absolute().parent.name
    stated.setdefault("name", folder if manifest.stem == "manifest" else manifest.stem)
    try:
        score = _score(stated.pop("score", {}), stated["modality"])
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    return Sidecar(score=score, **stated)


def stated_modality(manifest: Path) -> str:
    """The modality that a manifest's sidecar states; empty where none does.

    Raises:
        UserError: the sidecar is no JSON object.
    """
    path = sidecar_path(manifest)
    return str(_read(path).get("modality", "")) if path.exists() else ""


def _read(path: Path) -> dict[str, Any]:
    try:
        return json_object(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as one JSON object, {{...}}: {error}") from error


def _score(stated: Any, modality: str) -> Score:
    values = {"name": stated} if isinstance(stated, str) else stated
    if not isinstance(values, dict):
        raise UserError("score must be a name or an object")
    named = values.get("name")
    base = DEFAULTS.get(modality) if named is None else KNOWN.get(named)
    if base is None and named is None:
        raise UserError(
            f"no score is known for modality {modality!r}: give the modality "
            f"({' or '.join(DEFAULTS)}), or state the score in this file"
        )
    if base is None and isinstance(stated, str):
        raise UserError(f"score {named!r} is not known; known: {', '.join(KNOWN)}; or state it in full")
    return Score.from_dict({**(base.to_dict() if base else {}), **values})

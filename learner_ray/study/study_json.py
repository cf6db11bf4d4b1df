"""Reading ``study.json``, and telling whether it was changed since it was written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from learner_ray.core.errors import UserError
from learner_ray.core.files import parse_object
from learner_ray.run.old_names import study_now

RUN_LOG = "runs.jsonl"
"""The run log, beside ``study.json``; ``study.run_log`` writes it. Its name stands here, where it is found
without loading pandas."""

_ALWAYS = {"study", "cohort_hash", "split_hash", "trials", "folds", "repeats", "seeds", "arms", "space"}
"""Keys of every ``study.json`` that was ever written."""


def study_hash(study: Mapping[str, Any]) -> str:
    """SHA-256 over all that a ``study.json`` says, but for this hash."""
    plain = {key: value for key, value in study.items() if key != "hash"}
    finite = json.loads(json.dumps(plain), parse_constant=lambda name: None)
    text = json.dumps(finite, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def read_study(path: Path) -> dict[str, Any] | None:
    """What a ``study.json`` says, under the names of now, or None where there is none.

    Raises:
        UserError: it was changed since it was written, as far as one can tell: older versions kept no hash.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    return parse_study(content, str(path))


def parse_study(content: bytes, name: str) -> dict[str, Any]:
    """What the content of a ``study.json`` says, under the names of now.

    Args:
        content: of the file.
        name: the file's path or URL, for messages.

    Raises:
        UserError: as :func:`read_study` does.
    """
    remedy = (
        "restore it; or move it away, and the command that made it writes it again, its protocol frozen "
        "anew: verdicts on runs that exist by then are exploratory"
    )
    try:
        study = parse_object(content)
    except ValueError as error:
        raise UserError(f"{name} is damaged: {remedy}") from error
    if not study.keys() >= _ALWAYS:
        raise UserError(f"{name} is damaged: {remedy}")
    if study.get("hash", study_hash(study)) != study_hash(study):
        raise UserError(f"{name} was changed since it was written: {remedy}")
    return study_now(study)

"""Whether the files of a run and a study are whole, and the ones that were written.

``state.json``, written last, lists the others with their sizes and hashes. ``config.json`` needs no entry: it
describes the run, and the hash of what it describes is the run's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from learner_ray.core.errors import UserError
from learner_ray.core.files import json_object, sha256_of
from learner_ray.run.states import ENDED_BADLY, ENDED_WELL

MODELS = "*.pt"
"""Encoders and checkpoints: nearly all of a run's bytes, and no table or figure needs them."""


ELSEWHERE = ".models-elsewhere"
"""Marks the folder of a run that was copied without its models, so that missing models are no damage."""


NOT_LISTED = ("config.json", "state.json", "last.pt", "error.txt")
"""Files whose hashes are not listed. ``error.txt`` holds no result, and a late process may still write it
after the run was given up."""


class DamagedError(UserError):
    """A file is damaged, or is not the one that this program wrote."""


def read_object(path: Path) -> dict[str, Any] | None:
    """The JSON object that a file holds, or None where there is no file.

    Raises:
        DamagedError: the file holds something else.
    """
    try:
        return json_object(path)
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise DamagedError(f"{path.name} is damaged") from error


def read_end(folder: Path) -> dict[str, Any] | None:
    """The content of ``state.json``: how a run ended, and the list of its files if its version wrote one;
    None while the run has not ended.

    Raises:
        DamagedError: ``state.json`` is damaged.
    """
    end = read_object(folder / "state.json")
    if end is None:
        return None
    listed = end.get("files", {})
    if (
        end.get("state") not in (*ENDED_WELL, *ENDED_BADLY)
        or not isinstance(end.setdefault("reason", ""), str)
        or not isinstance(listed, dict)
        or not all(isinstance(written, dict) for written in listed.values())
    ):
        raise DamagedError("state.json is damaged")
    return end


def listed(folder: Path) -> dict[str, dict[str, Any]]:
    """Size and SHA-256 of every file that a run leaves, by its name."""
    names = [path for path in folder.iterdir() if path.is_file() and path.suffix != ".tmp"]
    return {
        path.name: {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
        for path in sorted(names)
        if path.name not in NOT_LISTED and not path.name.startswith(".")
    }


def difference(
    folder: Path,
    files: Mapping[str, Mapping[str, Any]],
    stored_models: Mapping[str, int] | None = None,
    *,
    models: bool = False,
) -> str:
    """Says which file of a list is missing or is not the one that was written; empty if all are whole.

    Args:
        folder: the run's folder.
        files: the list that :func:`listed` gave.
        stored_models: sizes of the models in object storage, where the folder is a copy without them.
        models: read models too, instead of comparing their sizes alone.
    """
    for name, written in sorted(files.items()):
        is_model, path = Path(name).match(MODELS), folder / name
        if is_model and stored_models is not None and not models:
            size = stored_models.get(name)
        else:
            size = path.stat().st_size if path.is_file() else None
        if size is None and is_model and (folder / ELSEWHERE).exists():
            continue
        if size is None:
            return f"{name} is missing"
        read = (models or not is_model) and path.is_file()
        if size != written.get("bytes") or (read and sha256_of(path) != written.get("sha256")):
            return f"{name} is not the one that this run wrote"
    return ""

"""A study and its runs in one archive, to bring home from a cluster."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pandas as pd

from learner_ray.core.errors import UserError
from learner_ray.run.integrity import ELSEWHERE, MODELS


def pack(out: Path, archive: Path, *, models: bool = False) -> None:
    """Writes a results folder and the runs its tables name into a gzipped tar, readable by its owner alone.

    Args:
        out: the results folder; its runs are beside it, in ``runs``.
        archive: what to write; members are named from the folder that holds ``out``.
        models: take encoders and checkpoints along.

    Raises:
        UserError: there is no study in ``out``.
    """
    if not (out / "study.json").exists():
        raise UserError(f"no study in {out} yet: nothing to bring home")
    root = out.parent
    folders = [out, *(root / "runs" / run_hash for run_hash in run_hashes(out))]
    archive.parent.mkdir(parents=True, exist_ok=True)
    archive.touch(mode=0o600)
    with tarfile.open(archive, "w:gz") as tar:
        for path in (path for folder in folders for path in sorted(folder.rglob("*"))):
            inside = path.relative_to(root)
            hidden = any(part.startswith(".") for part in inside.parts)  # locks, and Tune's own files
            if path.is_file() and not hidden and (models or not path.match(MODELS)):
                tar.add(path, inside)


def run_hashes(out: Path) -> list[str]:
    """The runs that a study's tables name."""
    paths = [out / f"{name}.parquet" for name in ("trials", "audits", "ledger")]
    try:
        tables = [pd.read_parquet(path) for path in paths if path.exists()]
    except (OSError, ValueError) as error:
        raise UserError(
            f"a table in {out} is damaged ({error}): the command that made it writes it again"
        ) from error
    named = {run_hash for table in tables if len(table) for run_hash in table["run_hash"]}
    return sorted(named - {""})  # a final run that could not begin has no folder


def unpack(archive: Path, root: Path) -> None:
    """Lays an archive's study and runs into a results root, over what an earlier one left there."""
    with tarfile.open(archive) as tar:
        tar.extractall(root, filter="data")
        names = [Path(name) for name in tar.getnames()]
    for run in {name.parent for name in names if name.name == "state.json"}:
        # A sweep that goes on here must not take models that were left there for lost.
        if not any(name.parent == run and name.match(MODELS) for name in names):
            (root / run / ELSEWHERE).touch()

"""A final run's predictions of an external cohort: files in the run's folder that are no part of the run.

They are written after the run has ended, by any later command, and change none of its files. Their name holds
what they follow from beside the run: the cohort, and its scans that could not be read.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pandas as pd

from learner_ray.core.files import sha256_of, write_json, write_parquet
from learner_ray.run.folder import RunFolder
from learner_ray.run.integrity import DamagedError, difference, read_object
from learner_ray.run.spec import Source

PAIRS, SCORES, COMBINED = "pairs", "scores", "with-earlier-score"


def external_key(source: Source) -> str:
    """Sixteen hexadecimal digits for an external cohort, over its hash and its scans that cannot be read."""
    text = json.dumps([source.cohort_hash, sorted(source.bad_scans)])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def external_table(folder: RunFolder, key: str, table: str) -> Path:
    """The file of a run's predictions of an external cohort: ``PAIRS``, one row per progression pair;
    ``COMBINED``, the same with the earlier score's part; or ``SCORES``, one row per scan."""
    return folder.path / f"external-{key}-{table}.parquet"


def _list_of(folder: RunFolder, key: str) -> Path:
    return folder.path / f"external-{key}.json"


def write_external(folder: RunFolder, source: Source, run_hash: str, tables: dict[str, pd.DataFrame]) -> None:
    """Writes the predictions, and last a list of the files with their hashes.

    Args:
        folder: the run's.
        source: the external cohort's.
        run_hash: names the run.
        tables: by ``PAIRS``; for a run with an encoder also ``SCORES``, for one that was combined with the
            earlier score ``COMBINED``.
    """
    key = external_key(source)
    paths = [external_table(folder, key, name) for name in tables]
    for path, table in zip(paths, tables.values(), strict=True):
        write_parquet(path, table)
    listed = {path.name: {"bytes": path.stat().st_size, "sha256": sha256_of(path)} for path in paths}
    content = {"run_hash": run_hash, "cohort_hash": source.cohort_hash, "bad_scans": [*source.bad_scans]}
    write_json(_list_of(folder, key), {**content, "files": listed})
    folder.publish(*(path.name for path in paths), _list_of(folder, key).name)


def external_fault(folder: RunFolder, key: str, run_hash: str) -> str:
    """Why a run's predictions of an external cohort cannot be used; empty if they are whole.

    Those that are missing, damaged or of another run are computed again.
    """
    return _fault(folder, _list_of(folder, key), run_hash)


def external_faults(folder: RunFolder, run_hash: str) -> list[str]:
    """What is wrong with a run's predictions of external cohorts, one sentence for each cohort."""
    found = [_fault(folder, path, run_hash) for path in sorted(folder.path.glob("external-*.json"))]
    return [fault for fault in found if fault]


def _fault(folder: RunFolder, path: Path, run_hash: str) -> str:
    try:
        content = read_object(path)
        if content is None:
            return "not tested yet"
        if content["run_hash"] != run_hash:
            return f"{path.name} is of run {content['run_hash']}"
        return difference(folder.path, content["files"])
    except (DamagedError, KeyError, TypeError, AttributeError) as error:
        return f"{path.name} is damaged ({type(error).__name__})"

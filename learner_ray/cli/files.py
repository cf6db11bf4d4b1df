"""Compares the files of a results folder with what was written."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from learner_ray.cli.command import show
from learner_ray.core.errors import UserError


def check_files(address: str) -> int:
    """Prints which files of a results folder are not as they were written, and how many runs were looked at.

    A sweep that goes on compares the sizes of its runs' files and the hashes of all but models; this reads
    the encoders too, and changes nothing.

    Args:
        address: the folder's path, or its URL in object storage, from which everything is fetched.

    Returns:
        0 where all files are whole, else 1.

    Raises:
        UserError: the folder holds neither a study nor runs.
    """
    from learner_ray.core.numerics import NUMERICS
    from learner_ray.run.external_files import external_faults
    from learner_ray.run.folder import RunStore
    from learner_ray.run.object_storage import StoredFolder, is_url
    from learner_ray.study.archive import run_hashes

    stored = StoredFolder.at(address) if is_url(address) else None
    results = stored.local if stored else Path(address)
    if stored:
        stored.fetch()
    if (results / "study.json").exists():
        studies = [results]
        store, runs = RunStore(results.parent, stored and stored.above), run_hashes(results)
    elif (results / "runs").is_dir():
        studies = [path.parent for path in results.glob("*/study.json")]
        store = RunStore(results, stored)
        runs = [path.name for path in (results / "runs").iterdir() if path.is_dir()]
    else:
        raise UserError(f"{address} holds neither a study nor runs: give a results folder")
    faults = [fault for folder in studies for fault in study_faults(folder)]
    for run in sorted(runs):
        folder = store.folder(run)
        folder.fetch()
        fault = folder.fault(run, models=True) if folder.path.is_dir() else "it is missing"
        found = [fault] if fault else external_faults(folder, run)
        faults += [f"{folder.address}: {each}" for each in found]
    for fault in faults:
        show(fault)
    print(f"{len(runs)} runs looked at: {f'{len(faults)} faults' if faults else 'all files are as written'}")
    if faults:
        print("Rerun the command that made the results: it trains damaged runs again. It reads no encoders,")
        print("so remove the encoders named above first.")
        for number in sorted({n for study in studies for n in numerics_of(study)} - {NUMERICS}):
            print(
                f"For results of numerics {number}, do so with the version that made them: this one computes"
            )
            print(f"numerics {NUMERICS} and trains nothing there.")
    return 1 if faults else 0


def numerics_of(folder: Path) -> set[int]:
    """The number that a study records; empty where it cannot be read."""
    from learner_ray.study.study_json import read_study

    with suppress(UserError):
        study = read_study(folder / "study.json")
        return {study["numerics"]} if study else set()
    return set()


def study_faults(folder: Path) -> list[str]:
    """The faults of a study's own files, apart from the tables that are derived from its runs."""
    from learner_ray.cohort import load_splits, splits_hash
    from learner_ray.study.study_json import read_study

    try:
        study = read_study(folder / "study.json") or {}
        differs = splits_hash(load_splits(folder / "splits.json")) != study.get("split_hash")
    except UserError as error:
        return [str(error)]
    return [f"{folder / 'splits.json'}: its splits are not those that study.json names"] if differs else []

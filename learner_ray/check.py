"""``python -m learner_ray.check --files RESULTS``: whether results are still the files that were written.

A sweep that goes on compares the sizes of its runs' files and the hashes of all but models; this reads the
encoders too, and changes nothing.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from learner_ray.cli.command import answer
from learner_ray.core.errors import UserError


def main(argv: list[str] | None = None) -> int:
    """The command; 0 where all is whole, 1 where something is not, 2 for a mistake."""
    parser = argparse.ArgumentParser(
        prog="python -m learner_ray.check",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--files",
        required=True,
        metavar="RESULTS",
        help="a study's folder, as results/lus, with the runs its tables name; or results, with all runs",
    )
    return answer(lambda: check(parser.parse_args(argv).files))


def check(address: str) -> int:
    """Prints what is not as it was written, and how much was looked at.

    Args:
        address: a path, or a URL in object storage, of which everything is fetched.
    """
    from learner_ray.run.folder import RunStore
    from learner_ray.run.object_storage import StoredFolder, is_url
    from learner_ray.study.archive import run_hashes

    stored = StoredFolder.at(address) if is_url(address) else None
    results = stored.local if stored else Path(address)
    if stored:
        stored.fetch()
    if (results / "study.json").exists():
        faults = study_faults(results)
        store, runs = RunStore(results.parent, stored and stored.above), run_hashes(results)
    elif (store := RunStore(results, stored)).root.is_dir():
        faults = [fault for path in results.glob("*/study.json") for fault in study_faults(path.parent)]
        runs = [path.name for path in store.root.iterdir() if path.is_dir()]
    else:
        raise UserError(f"{address} holds neither a study nor runs: give a results folder")
    for run in sorted(runs):
        folder = store.folder(run)
        folder.fetch()
        fault = folder.fault(run, models=True) if folder.path.is_dir() else "it is missing"
        faults += [f"{folder.address}: {fault}"] if fault else []
    for fault in faults:
        print(fault)
    print(f"{len(runs)} runs looked at: {f'{len(faults)} faults' if faults else 'all files are as written'}")
    if faults:
        print("The command that made the results trains such runs again. It does not read encoders: remove")
        print("those named here first.")
    return 1 if faults else 0


def study_faults(folder: Path) -> list[str]:
    """What is wrong with a study's own files, derived tables apart."""
    from learner_ray.cohort import load_splits, splits_hash
    from learner_ray.study.study_json import read_study

    try:
        study = read_study(folder / "study.json") or {}
        differs = splits_hash(load_splits(folder / "splits.json")) != study.get("split_hash")
    except UserError as error:
        return [str(error)]
    return [f"{folder / 'splits.json'}: it holds other splits than study.json names"] if differs else []


if __name__ == "__main__":
    sys.exit(main())

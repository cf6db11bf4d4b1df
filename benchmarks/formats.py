"""What of a folder is read as a scan, and why the rest is refused.

    python benchmarks/formats.py FOLDER

Archives (``.tar.gz``) are looked into. Prints Markdown: a line per kind of file and outcome.
"""

from __future__ import annotations

import argparse
import sys
import tarfile
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from learner_ray.cohort.scan_files import files_of_scan
from learner_ray.cohort.unrecognised import files_below
from learner_ray.imaging.errors import ScanError
from learner_ray.imaging.kinds import kind_of_scan
from learner_ray.imaging.reader import read_scan

SIZE = 64
_SHOWN = 2
"""Names that a line shows where files are alike."""


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as temporary:
        for name, path in _files(folder, Path(temporary)):
            found[_outcome(path)].append(name)
    print("| files | kind | read or refused |\n|---|---|---|")
    for (kind, outcome), names in sorted(found.items(), key=lambda each: each[1]):
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        print(f"| {', '.join(names[:_SHOWN])}{more} | {kind} | {outcome} |")


def _files(folder: Path, temporary: Path) -> Iterator[tuple[str, Path]]:
    """The files of a folder and of the archives in it, with the names to print."""
    for path in files_below(folder):
        if path.name.endswith(".tar.gz"):
            target = temporary / path.name
            with tarfile.open(path) as archive:
                archive.extractall(target, filter="data")
            yield from ((f"{path.name}: {file.name}", file) for file in files_below(target))
        else:
            yield path.name, path


def _outcome(path: Path) -> tuple[str, str]:
    """The kind of a file, and how many frames it has or why it is refused."""
    files = files_of_scan(str(path))
    if isinstance(files, str):
        return path.suffix, f"refused: {files}"
    kind = kind_of_scan(files)
    try:
        frames = read_scan(files, SIZE)
    except ScanError as error:
        reason = error.reason.partition(" (.mp4")[0]
        return kind, f"refused: {reason}"
    return kind, f"read: {len(frames)} {'frame' if len(frames) == 1 else 'frames'}"


if __name__ == "__main__":
    main()

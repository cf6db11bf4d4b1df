"""``learner-ray cache list | clear``: what is kept on this machine to be read faster, and how to remove
it."""

from __future__ import annotations

import argparse
import re
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from learner_ray.cli.command import answer, make_parser
from learner_ray.core.durations import duration
from learner_ray.core.files import cache_root

if TYPE_CHECKING:  # NumPy comes with it, which --help does not need
    from learner_ray.imaging.cache_removal import Removal

_SECONDS = {"h": 3600, "d": 86_400, "w": 7 * 86_400}
_BYTES = {"MB": 10**6, "GB": 10**9, "TB": 10**12}


def main(arguments: Sequence[str] | None = None) -> int:
    """Carries out the command: 0, 1 where something cannot be removed, or 2 for a mistake."""
    return answer(lambda: _cache(arguments))


def _cache(arguments: Sequence[str] | None) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    bounded = options.older_than is not None or options.max_size is not None
    if options.verb == "list":
        if bounded:
            parser.error("--older-than and --max-size go with clear")
        _list()
    elif not bounded:
        _clear()
    else:
        from learner_ray.imaging.cache_removal import remove
        from learner_ray.imaging.pixel_store import pixel_folder

        bounds = {"older_than_s": options.older_than, "max_bytes": options.max_size}
        print(_said(remove(pixel_folder(), **bounds)))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = make_parser(
        "learner-ray cache",
        "Lists or clears what is kept on this machine: decoded pixels, phantom cohorts, copies of data and\n"
        "results in object storage. All of it is made or fetched again when it is needed. Pixels that a\n"
        "running command uses are kept; do not clear the rest while a sweep runs. LEARNER_RAY_CACHE names\n"
        "another folder.",
    )
    parser.add_argument("verb", metavar="list | clear", choices=("list", "clear"), help="What to do.")
    parser.add_argument(
        "--older-than",
        type=lambda text: _quantity(text, _SECONDS, "30d"),
        metavar="TIME",
        help="Clear only decoded pixels that were not used for so long, such as 12h, 30d or 8w.",
    )
    parser.add_argument(
        "--max-size",
        type=lambda text: _quantity(text, _BYTES, "20GB"),
        metavar="SIZE",
        help="Clear only decoded pixels, those used least recently, until no more than this is left, such as "
        "500MB, 20GB or 1TB.",
    )
    return parser


def _quantity(text: str, units: dict[str, int], example: str) -> int:
    """A number with its unit, in seconds or bytes."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)", text)
    unit = {name.lower(): size for name, size in units.items()}.get(found[2].lower()) if found else None
    if found is None or unit is None:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a number with a unit ({', '.join(units)}), such as {example}"
        )
    return round(float(found[1]) * unit)


def _list() -> None:
    from learner_ray.imaging.cache_removal import pieces, size_of
    from learner_ray.imaging.pixel_store import pixel_folder

    root = cache_root()
    for folder in _folders(root):
        print(_line(size_of(folder), folder))
        if folder == pixel_folder():
            for piece in sorted(pieces(folder), key=lambda piece: piece.used):
                ago = duration(max(0.0, time.time() - piece.used))
                print(f"  {_line(piece.bytes, piece.paths[0].relative_to(folder))}, used {ago} ago")
    if not _folders(root):
        print(f"{root} is empty")


def _clear() -> None:
    from learner_ray.imaging.cache_removal import remove, size_of
    from learner_ray.imaging.pixel_store import pixel_folder

    root = cache_root()
    for folder in _folders(root):
        size = size_of(folder)
        if folder == pixel_folder():
            done = remove(folder)
            if done.left:
                print(_said(done))
                continue
        print(f"{_line(size, folder)}  removed")
        shutil.rmtree(folder) if folder.is_dir() and not folder.is_symlink() else folder.unlink()
    if not _folders(root):
        print(f"{root} is empty")


def _folders(root: Path) -> list[Path]:
    return sorted(root.iterdir()) if root.is_dir() else []


def _line(size: int, what: Path) -> str:
    return f"{size / 1e6:10,.1f} MB  {what}"


def _said(done: Removal) -> str:
    said = f"removed {done.removed / 1e6:,.1f} MB of decoded pixels; {done.left / 1e6:,.1f} MB are left"
    return said + (f", of which {done.in_use / 1e6:,.1f} MB are in use" if done.in_use else "")

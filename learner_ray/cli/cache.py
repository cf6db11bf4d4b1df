"""``learner-ray cache list | clear``: what is kept on this machine to be read faster, and how to remove
it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from learner_ray.cli.command import answer, make_parser
from learner_ray.core.files import cache_root


def main(arguments: Sequence[str] | None = None) -> int:
    """Carries out the command: 0, or 1 where a folder cannot be removed."""
    return answer(lambda: _cache(arguments))


def _cache(arguments: Sequence[str] | None) -> int:
    parser = make_parser(
        "learner-ray cache",
        "Lists or clears what is kept on this machine: decoded pixels, phantom cohorts, copies of data and\n"
        "results in object storage. All of it is made or fetched again when it is needed; do not clear it\n"
        "while a sweep runs. LEARNER_RAY_CACHE names another folder.",
    )
    parser.add_argument("verb", metavar="list | clear", choices=("list", "clear"), help="What to do.")
    verb = parser.parse_args(arguments).verb
    root = cache_root()
    for folder in sorted(root.iterdir()) if root.is_dir() else []:
        print(f"{size_of(folder) / 1e6:10,.1f} MB  {folder}{'  removed' if verb == 'clear' else ''}")
        if verb == "clear":
            shutil.rmtree(folder) if folder.is_dir() and not folder.is_symlink() else folder.unlink()
    if not root.is_dir() or verb == "clear":
        print(f"{root} is empty")
    return 0


def size_of(folder: Path) -> int:
    """The bytes of all files in a folder, or of a file."""
    return sum(path.lstat().st_size for path in (folder, *folder.rglob("*")) if path.is_file())

"""What a log may say that leaves the results folder, such as that of a job on a cluster: no name of a file,
no id and no words of an exception. The whole messages are kept in a file that its owner alone may read.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

VARIABLE = "LEARNER_RAY_MESSAGES"
"""Environment variable: the file that keeps the messages of this process whole; set where its output is
kept by others, as a job's is."""

_EXCEPTION = re.compile(r"\b(\w*(?:Error|Exception)): .*")
_QUOTED = re.compile(r"'[^'\n]*'|\"[^\"\n]*\"")
_FILE = (
    r"\S+\.(?:png|jpe?g|tiff?|bmp|webp|gif|dcm|dicom|ima|nii|gz|hdr|img|mg[hz]|mha|nrrd"
    r"|mp4|m4v|mov|avi|mkv|webm|wmv|mpe?g|[ct]sv|xlsx?|json|py|txt|zip)\b"
)
_ABSOLUTE = r"(?<![\w.\\/])(?:[A-Za-z]:)?(?:~|\.\.?)?[\\/]\S[^:;,()\n]*"
_PATH = re.compile(rf"{_ABSOLUTE}|{_FILE}", re.IGNORECASE)
"""An absolute path to the next punctuation, for it may hold spaces; or a name that ends as a file's does."""
_ROW = re.compile(r"\brow \d+\b")


def kept_in() -> Path | None:
    """The file that keeps messages whole; None where the output of this process is the user's own."""
    named = os.environ.get(VARIABLE)
    return Path(named) if named else None


def sayable(message: str) -> str:
    """A message as this process may print it: as it is, or without names and kept whole in a file."""
    file = kept_in()
    if file is None:
        return message
    said = without_names(message)
    if said == message:
        return message
    with suppress(OSError):
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a") as stream:
            stream.write(f"{message}\n")
    return f"{said} [whole in {file}]"


def without_names(message: str) -> str:
    """A message without what may name a patient: of an exception its kind, of a list the rows alone, and no
    path and nothing in quotation marks."""
    first, *listed = message.splitlines() or [""]
    rows = [found[0] for line in listed if (found := _ROW.search(line))]
    others = [line for line in listed if not line.startswith("  ")]
    shown = [_shown(line) for line in (first, *others)]
    return "\n".join([shown[0], *([f"  {', '.join(rows)}"] if rows else []), *shown[1:]])


def without_paths(text: str, place: str = "PATH") -> str:
    """A text with a word in the place of every file and folder."""
    return _PATH.sub(place, text)


def _shown(line: str) -> str:
    line = _EXCEPTION.sub(r"\1", line)
    return without_paths(_QUOTED.sub("...", line))

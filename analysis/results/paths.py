"""Texts of a results folder without the paths in them: a report is handed out, and a scan's path may name a
patient."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

_FILE = "a file"
_SCAN = (
    r"\S+\.(?:png|jpe?g|tiff?|bmp|webp|gif|dcm|dicom|ima|nii|gz|hdr|img|mg[hz]|mha|nrrd"
    r"|mp4|m4v|mov|avi|mkv|webm|wmv|mpe?g)\b"
)
_PATH = re.compile(rf"(?<!\S)[\"'(\[]*(?:(?:[A-Za-z]:)?[\\/~]\S|\S+[\\/]\S+[\\/])\S*|{_SCAN}", re.IGNORECASE)
"""An absolute path, one with two separators or more, or a file that may be a scan. ``n/a`` and ``S/F`` are
none."""
_LATER = re.compile(rf"\S*[\\/]\S*|{_SCAN}", re.IGNORECASE)
"""What goes on with a path that has spaces in it."""
_LISTED = re.compile(
    r".*, row (\d+): .* ((?:cannot be|is|are|has|holds|announces|does not|needs|states|frame|only|lies) .*)"
)
"""A scan that cannot be read, as versions before 0.3 wrote it: table, row, path and reason."""
_DETAILS = re.compile(r" \(|;")
_TAKE_PATHS = {"--data", "--out", "--test-data", "--splits", "--cluster", "--fixed-from"}
"""Options of a sweep whose value is a file or a folder."""
_PLACE = "PATH"
_EXCEPTION = re.compile(r"([A-Za-z_][\w.]*(?:Error|Exception|Warning|Interrupt|Exit)): ")


def without_paths(text: str) -> str:
    """A sentence in which paths are ``a file``: all from the first to the last, since they may hold spaces.

    A scan that cannot be read, listed by table, row, path and reason, becomes its row and the reason.
    """
    first = _PATH.search(text)
    if first is None:
        return text
    if listed := _LISTED.fullmatch(text):
        return f"row {listed[1]}: {without_paths(_DETAILS.split(listed[2])[0])}"
    last = max((found.end() for found in _LATER.finditer(text)), default=first.end())
    end = max(first.end(), last)
    kept = text[:end].rstrip("'\")],;:.")  # punctuation belongs to the sentence
    return f"{text[: first.start()]}{_FILE}{text[len(kept) :]}"


def command_without_paths(command: str) -> str:
    """A command line with ``PATH`` in the place of every file and folder: of what has a separator or is
    Python code, and of what follows an option that takes data, results or a list."""
    try:
        words = shlex.split(command)
    except ValueError:  # a quotation without its end
        return without_paths(command)
    shown = []
    for before, word in zip(["", *words], words, strict=False):
        option, equals, _ = word.partition("=")
        if option in _TAKE_PATHS and equals:
            shown.append(f"{option}={_PLACE}")
        else:
            is_path = before in _TAKE_PATHS or re.search(r"[\\/]|\.py$|\.[ct]sv$", word)
            shown.append(_PLACE if is_path and not word.startswith("--") else word)
    return shlex.join(shown)


def exception_without_words(text: str) -> str:
    """What is said of an exception outside the results folder: its kind alone, since its words may name a
    file or a patient; a sentence of this package's own is left as it is, without paths."""
    kind = _EXCEPTION.match(text)
    return f"{kind[1]}, whose words are in the results folder" if kind else without_paths(text)


def left_out_without_paths(info: Mapping[str, Any]) -> dict[str, Any]:
    """A study.json whose command, and whose lists of what is left out, of its cohort and of the external one,
    name no path."""
    found = {key: _scrubbed(value) if key == "left_out" else value for key, value in info.items()}
    if isinstance(found.get("command"), str):
        found["command"] = command_without_paths(found["command"])
    if isinstance(found.get("external"), dict):
        found["external"] = left_out_without_paths(found["external"])
    return found


def _scrubbed(sentences: Any) -> Any:
    return [without_paths(str(each)) for each in sentences] if isinstance(sentences, list) else sentences

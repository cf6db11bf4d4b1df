"""Names that people chose (arms, folders, cohorts), made harmless to file systems, terminals and CSV."""

from __future__ import annotations

import hashlib
import re

LONGEST = 120
"""Largest number of bytes of a file name that stays as it is; file systems allow 255."""


def file_name(text: str) -> str:
    """Turn a name into one part of a path, never ``..`` or several parts; different names stay different.

    Letters of any script, digits, spaces and ``-_.+,()`` stay as they are, but for a point at the beginning;
    of anything else there are its bytes, each as an equals sign and two digits: ``w/o shift`` is
    ``w=2fo shift``. A name that is too long ends in a hash.
    """
    safe = re.sub(r"[^\w .+,()-]|^\.", lambda found: _bytes(found[0]), text) or "="
    encoded = safe.encode()
    if len(encoded) <= LONGEST:
        return safe
    return encoded[:LONGEST].decode(errors="ignore") + "=" + hashlib.sha256(safe.encode()).hexdigest()[:12]


def _bytes(character: str) -> str:
    return "".join(f"={byte:02x}" for byte in character.encode(errors="surrogatepass"))


def printable(text: str) -> str:
    """Make text harmless to a terminal: control characters become question marks."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else "?" for c in text)


def spreadsheet_cell(text: str) -> str:
    """Make text harmless to a spreadsheet, which would compute what begins like a formula: an apostrophe goes
    before it. Numbers, and intervals after them, stay as they are."""
    formula = text.startswith(("=", "@", "\t", "\r")) or (
        text.startswith(("+", "-")) and not re.fullmatch(r"[-+\d.,;\[\] %eE]+", text)
    )
    return f"'{text}" if formula else text

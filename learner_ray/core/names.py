"""Names that people chose (arms, studies, files) where they may not stand as they are.

``analysis.results.names`` has the same rules, for it imports nothing of this package; a test compares them.
"""

from __future__ import annotations

import hashlib
import re

LONGEST = 120
"""Bytes of a file name, of the 255 that file systems allow: the part that distinguishes two names
stands at the end."""


def file_name(text: str) -> str:
    """A name as one part of a path, never a folder of its own or another's: different names stay different.

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
    """Text in a form that is harmless to a terminal: control characters become question marks."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else "?" for c in text)


def spreadsheet_cell(text: str) -> str:
    """Text in a form that is harmless to a spreadsheet, which would compute what begins like a formula: an
    apostrophe goes before it. Numbers, and intervals after them, stay as they are."""
    formula = text.startswith(("=", "@", "\t", "\r")) or (
        text.startswith(("+", "-")) and not re.fullmatch(r"[-+\d.,;\[\] %eE]+", text)
    )
    return f"'{text}" if formula else text

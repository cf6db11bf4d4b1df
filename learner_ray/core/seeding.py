"""Keys that random draws are made from, so that no draw depends on what was drawn before it."""

from __future__ import annotations

import hashlib


def random_key(*parts: int | str) -> int:
    """A number below 2**63 that its parts alone decide, on any machine."""
    text = "\x1f".join(map(str, parts))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1

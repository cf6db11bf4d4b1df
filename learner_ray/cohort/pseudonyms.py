"""What stands for a patient wherever results are written: a pseudonym that only the scans can be traced by.

It is a keyed hash of the patient's id, and the key is made from what the cohort's scans hold. So one cohort
has the same pseudonyms in every results folder and on every machine, though the key is written nowhere; and
nobody who lacks the scans can try ids until one fits, which takes a second where the key is known.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable

DIGITS = 12
_PURPOSE = b"learner_ray pseudonyms"
_FORMER_KEY = b"learner_ray patient"


def pseudonym_key(contents: Iterable[str]) -> bytes:
    """The key of a cohort, 32 bytes.

    Args:
        contents: SHA-256 of the files of all scans, in any order.
    """
    return hmac.digest(_PURPOSE, "\n".join(sorted(set(contents))).encode(), hashlib.sha256)


def pseudonym(key: bytes, patient: str) -> str:
    """The pseudonym of a patient: twelve hexadecimal digits of the HMAC-SHA256 of the id."""
    return hmac.digest(key, patient.encode(), hashlib.sha256).hex()[:DIGITS]


def former_pseudonym(patient: str) -> str:
    """What stood for a patient in the files of earlier versions: a hash under a key that everyone knows, so
    that ids could be tried. It is needed to put pseudonyms in its place, and for nothing else."""
    return hashlib.blake2b(patient.encode(), key=_FORMER_KEY, digest_size=6).hexdigest()

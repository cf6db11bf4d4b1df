"""When two ways of writing a patient's id mean one patient.

The rule is that of ``learner_ray.cohort.patients``, written once more: this package audits what the other one
did, and takes nothing from it. A test holds that both say the same of any id.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import groupby


def same_patient_key(patient: str) -> str:
    """Reduce a patient id to a key that all its usual spellings share.

    Case, separators, leading zeros, a leading ``sub``, ``subject`` or ``patient`` and a final ``.0`` do not
    count: P-01 and p1 have the same key, 1-12 and 11-2 have different ones.
    """
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", patient).casefold()).strip()
    text = re.sub(r"(?<=[0-9])\.0$", "", text)
    parts = ["".join(part) for kind, part in groupby(text, _kind) if kind]
    if len(parts) > 1 and parts[0] in {"sub", "subject", "patient"}:
        parts = parts[1:]
    return " ".join(str(int(part)) if part.isdecimal() else part for part in parts) or text


def _kind(sign: str) -> str:
    category = unicodedata.category(sign)
    return "digit" if category == "Nd" else "letter" if category.startswith(("L", "M")) else ""

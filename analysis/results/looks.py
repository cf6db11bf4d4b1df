"""Looks: which results of a study its verdicts have been read from.

A *look* is a verdict on results that were not seen before. Each is a file of its own in the folder ``looks``
beside study.json, named by what was seen: so nothing is rewritten, two readers at once lose nothing, and
folders that are brought home from a cluster or fetched from object storage add up. To read the same ledger
again is no new look, and neither is a column or a control that came to it.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

FOLDER = "looks"
SEEN = ["arm", "repeat", "fold", "seed", "patient", "pair", "y_true", "y_pred"]
"""What verdicts are made of."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """A verdict on results that were not seen before."""

    date: str
    """ISO 8601, UTC."""
    arms: Mapping[str, str]
    """By tested arm, the hash of the rows that it was tested on: its own and the reference's."""
    verdicts: Mapping[str, str]
    """What was said of each arm then."""
    analysis: int
    """The number of the rule that decided."""


def seen_rows(ledger: pd.DataFrame, reference: str, arms: Iterable[str]) -> dict[str, str]:
    """Hash the rows that each arm's verdict rests on.

    Args:
        ledger: the rows that are compared.
        reference: the arm that the others are compared with.
        arms: those that are tested.

    Returns:
        By arm, 64 hexadecimal digits over its rows and the reference's; their order makes no difference.
    """
    rows = ledger[SEEN].sort_values(SEEN)
    texts = {str(arm): own.to_csv(index=False) for arm, own in rows.groupby("arm")}
    return {arm: _sha256(texts[arm] + texts[reference]) for arm in arms}


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def look_name(arms: Mapping[str, str]) -> str:
    """The name of a look's file, 16 hexadecimal digits over what all arms were tested on."""
    return _sha256(json.dumps(arms, sort_keys=True))[:16]


def read_looks(folders: Sequence[Path]) -> list[Look]:
    """Read the looks of some results folders, the first one first. A file that is no look is passed over."""
    found: dict[str, Look] = {}
    for path in (path for folder in folders for path in sorted((folder / FOLDER).glob("*.json"))):
        try:
            look = _look(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            continue
        name = look_name(look.arms)
        found[name] = min(look, found.get(name, look), key=lambda look: look.date)
    return sorted(found.values(), key=lambda look: (look.date, look_name(look.arms)))


def _look(values: Any) -> Look:
    arms = {str(arm): str(digest) for arm, digest in values["arms"].items()}
    verdicts = {str(arm): str(word) for arm, word in values["verdicts"].items()}
    return Look(date=str(values["date"]), arms=arms, verdicts=verdicts, analysis=int(values["analysis"]))


def new_look(arms: Mapping[str, str], analysis: int) -> Look:
    """A look that is taken now, of which nothing is said yet."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    return Look(date=now, arms=arms, verdicts={}, analysis=analysis)


def look_number(arm: str, looks: Sequence[Look], now: Look) -> int:
    """Count how often different results of an arm have been looked at, up to the results of now; 1 at first.

    Args:
        arm: its name.
        looks: those that are recorded, the first one first.
        now: the look that is being taken, recorded or not.
    """
    digests = dict.fromkeys(look.arms[arm] for look in [*looks, now] if arm in look.arms)
    return list(digests).index(now.arms[arm]) + 1


def record_look(folder: Path, look: Look) -> str:
    """Write a look beside study.json, whole or not at all.

    Returns:
        Why it could not be written; empty where it was, or had been before.
    """
    path = folder / FOLDER / f"{look_name(look.arms)}.json"
    values = {"date": look.date, "analysis": look.analysis, "arms": look.arms, "verdicts": look.verdicts}
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        if path.exists():
            return ""
        rights = folder.stat().st_mode  # the study's own, whichever umask this process has
        path.parent.mkdir(mode=rights & 0o777, exist_ok=True)
        temporary.write_text(json.dumps(values, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        temporary.chmod(rights & 0o666)
        os.replace(temporary, path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        return f"{path}: {error.strerror}"
    return ""

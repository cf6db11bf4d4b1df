"""Pictures that ``learner-ray explain`` left below a study; they are passed on and never opened."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.results.patient_numbers import shown_pairs
from analysis.results.study import StudyResults

INDEX = "explanations/explanations.json"
"""File below a study that says what its pictures show."""


ADDED = (
    "A map shows how much each window contributes to the predicted change, beside the same scan blurred "
    "throughout (integrated gradients)."
)
LOST = "A map shows how much the predicted change loses when a window is blurred in all frames (occlusion)."
"""What maps show, by the method that ``explain`` names; versions that named none drew the second."""


@dataclass(frozen=True, kw_only=True)
class ExplainedPair:
    """A picture of one test pair, and what it shows."""

    png: str
    """The file's bytes in base64."""
    title: str
    description: str
    map: str
    """What its maps show."""


def explained_pairs(study: StudyResults) -> list[ExplainedPair]:
    """Read the pictures of a study; none where there are none, where they cannot be read, or where they are
    of a run that the ledger does not have any more.
    """
    path = study.folder / INDEX
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        if index["run_hash"] not in set(study.ledger["run_hash"]):
            return []
        return [_read(study, path.parent, index, picture) for picture in index["pictures"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return []


def _read(study: StudyResults, folder: Path, index: dict[str, Any], picture: dict[str, Any]) -> ExplainedPair:
    name = Path(picture["file"]).name  # nothing from elsewhere
    right = picture["true"] == picture["predicted"]
    called = "called so" if right else f"called {picture['predicted']}"
    return ExplainedPair(
        png=base64.b64encode((folder / name).read_bytes()).decode(),
        title=f"{picture['true']}, {called} with probability {float(picture['probability']):.2f}",
        description=f"{_named(study, str(picture['pair']))}, score {float(picture['score_earlier']):g}, then "
        f"{float(picture['score_later']):g}; run {index['run_hash']}. The strongest colour is a change of "
        f"{index['response']} by {float(picture['largest']):.3f}.",
        map=ADDED if "maps" in index else LOST,
    )


def _named(study: StudyResults, pair: str) -> str:
    """The pair by numbers; one of an earlier version, whose name the ledger does not have, has none."""
    patients = study.ledger.loc[study.ledger["pair"].astype(str) == pair, "patient"]
    if patients.empty:
        return "A pair"
    (shown,) = shown_pairs(study, [(str(patients.iloc[0]), pair)])
    return f"Patient {shown}"

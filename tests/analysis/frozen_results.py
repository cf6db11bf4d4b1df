"""Results folders whose protocol is frozen, as the sweep would leave them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from make_results import make_results

from analysis.results.protocol import content_hash

BEGUN = "2026-01-01T00:00:00.000+00:00"


def frozen_results(folder: Path, *, seed: int = 0, **frozen: Any) -> Path:
    """A study with a planted effect of the arm *weighted*, frozen before it had any run."""
    make_results(folder, seed=seed)
    section = {
        "date": BEGUN, "commit": "abc1234", "primary_metric": "macro_f1", "reference": "mse",
        "family": ["contrastive", "weighted"], "threshold": 25, "alpha": 0.05, "looks": 1, "analysis": 1,
        "planned": {"arms": 4, "folds": 5, "repeats": 1, "seeds": 3, "final_runs": 60}, "known_runs": [],
    }  # fmt: skip
    change_study(folder, frozen={**section, **frozen}, amendments=[])
    return folder


def change_study(folder: Path, *, by_hand: bool = False, **values: Any) -> None:
    """Writes other values into a study.json, hashed anew as the sweep does it, or not."""
    info = {**json.loads((folder / "study.json").read_text()), **values}
    (folder / "study.json").write_text(json.dumps(info if by_hand else {**info, "hash": content_hash(info)}))


def amend(folder: Path, final_runs: int, *, complete: bool = False, **changes: Any) -> None:
    """A re-run of the sweep changed what is asked of the study."""
    info = json.loads((folder / "study.json").read_text())
    listed = [{"what": what, "from": info.get(what), "to": new} for what, new in changes.items()]
    amendment = {
        "date": "2026-02-01T00:00:00.000+00:00",
        "final_runs": final_runs,
        "complete": complete,
        "changes": listed,
    }
    live = {what: new for what, new in changes.items() if what in info}
    change_study(folder, amendments=[*info["amendments"], amendment], **live)

"""What a study fixes at its first start, and the dated list of what is changed afterwards.

The report reads both: a question that was changed when answers were known is exploratory, and so is one look
at the answers too many. ``frozen`` is written once and never again.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from learner_ray.core.errors import UserError
from learner_ray.run.provenance import git_sha
from learner_ray.study.main_table import calibration, decision_rule
from learner_ray.study.study_json import read_study

ASKED = (
    "primary_metric",
    "primary_metric_definition",
    "reference",
    "equivalence_margin",
    "retest_days",
)
"""Keys of a study that say what is asked of its results: all that a study file sets for the report alone."""
UNRECORDED = {"equivalence_margin": None, "retest_days": 1.0}
"""What the report took where an older version recorded nothing."""
GROWING = ("trials", "seeds", "repeats")
LOOKS = 1


def frozen(
    study: Mapping[str, Any], folder: Path, looks: int | None, sample_size: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The protocol of a study that starts now.

    Args:
        study: as ``study.json`` will hold it.
        folder: its results folder.
        looks: how many looks at its results are declared; None for one.
        sample_size: the minimum detectable difference and its assumptions; None where it was not worked out.
    """
    sizes = {name: study[name] for name in ("folds", "repeats", "seeds")}
    patients = {name: study["cohort"][name] for name in ("patients", "pairs")}
    return {
        "date": moment(),
        "commit": git_sha(),
        "command": study["command"],
        **{key: study[key] for key in ASKED},
        "family": family(study),
        "threshold": study["cohort"]["score"]["change_threshold"],
        **decision_rule(),
        "calibration": calibration(),
        "sample_size": None if sample_size is None else dict(sample_size),
        "looks": looks or LOOKS,
        "planned": {
            "arms": len(study["arms"]),
            **sizes,
            "trials": study["trials"],
            "final_runs": planned_final_runs(study),
            **patients,
        },
        "known_runs": final_runs_of_root(folder.parent),
    }


def moment() -> str:
    """Now, in ISO 8601 and UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def family(study: Mapping[str, Any]) -> list[str]:
    """The arms that are tested against the reference."""
    return [a["name"] for a in study["arms"] if not a["control"] and a["name"] != study["reference"]]


def final_runs_of_root(root: Path) -> list[str]:
    """The hashes of all final runs in a results root that have predicted, and so may be known."""
    return sorted(path.parent.name for path in (root / "runs").glob("*/predictions.parquet"))


def amended(before: Mapping[str, Any], now: Mapping[str, Any], folder: Path) -> list[dict[str, Any]]:
    """The amendments of a study, with what is now asked of it that was not before.

    Args:
        before: ``study.json`` as it is.
        now: as it is asked for.
        folder: the results folder.

    Returns:
        Those recorded before, and one more if anything that the verdicts depend on is another now.
    """
    changes = [
        {"what": what, "from": old, "to": new} for what, old, new in _compared(before, now) if old != new
    ]
    amendments = list(before.get("amendments") or ())
    if not changes:
        return amendments
    runs = final_runs_of_study(folder)
    amendment = {
        "date": moment(),
        "commit": git_sha(),
        "command": now["command"],
        "final_runs": runs,
        "complete": runs >= planned_final_runs(before),
        "changes": changes,
    }
    return [*amendments, amendment]


def amendment_notice(before: Mapping[str, Any] | None, study: Mapping[str, Any]) -> str:
    """What is said of an amendment before anything runs; empty where none was made.

    Args:
        before: ``study.json`` before this command; None where there was none.
        study: as it is now.
    """
    amendments = study.get("amendments") or []
    if before is None or len(amendments) == len(before.get("amendments") or []):
        return ""
    last, looks = amendments[-1], (study.get("frozen") or {}).get("looks", LOOKS)
    changed = ", ".join(change["what"].replace("_", " ") for change in last["changes"])
    return (
        f"Amended when there were {last['final_runs']} final runs: {changed}. The report will say so; what "
        f"the protocol did not declare is exploratory, and so are verdicts beyond its {looks} "
        f"look{'s' if looks > 1 else ''}"
    )


def planned_final_runs(study: Mapping[str, Any]) -> int:
    """How many final runs a study has when it is complete."""
    return int(len(study["arms"]) * study["folds"] * study["repeats"] * study["seeds"])


def _compared(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """What verdicts depend on, as it was and as it is. Of the rule an older version recorded nothing."""
    before = {**UNRECORDED, **before}
    found = [(key, before[key], now[key]) for key in (*ASKED, *GROWING) if key in before]
    arms = [[arm["name"] for arm in study["arms"]] for study in (before, now)]
    found.append(("arms", sorted(arms[0]), sorted(arms[1])))
    found.append(("family", sorted(family(before)), sorted(family(now))))
    if "analysis" in before:
        found.append(("analysis", before["analysis"], now["analysis"]))
    return found


def final_runs_of_study(folder: Path) -> int:
    """How many final runs a study's tables have; where these are damaged, how many its root has."""
    import pandas as pd

    columns = ["arm", "repeat", "fold", "seed"]
    try:
        for name in ("finals.parquet", "ledger.parquet"):  # older versions wrote no finals
            if (folder / name).exists():
                table = pd.read_parquet(folder / name)
                return len(table[columns].drop_duplicates()) if len(table) else 0
    except (OSError, ValueError, KeyError):
        return len(final_runs_of_root(folder.parent))
    return 0


def looks_of(folder: Path, asked: int | None) -> int:
    """How many looks a study declared when it began; where it has not, how many it would declare.

    Args:
        folder: its results folder.
        asked: how many are asked for; None for one.

    Raises:
        UserError: as :func:`learner_ray.study.study_json.read_study` does.
    """
    begun = read_study(folder / "study.json") or {}
    return int((begun.get("frozen") or {}).get("looks") or asked or LOOKS)


def check_looks(before: Mapping[str, Any], looks: int | None) -> None:
    """Refuses another number of looks than a study declared.

    Raises:
        UserError: the numbers differ, or an older version began the study, which declared none.
    """
    declared = (before.get("frozen") or {}).get("looks")
    if looks is not None and looks != declared:
        said = f"{declared} when it began" if declared else "none: an older version began it"
        raise UserError(
            f"--looks {looks}: this study declared {said}, and looks are declared before there are results; "
            "leave --looks out, or begin a new study with another --out"
        )

"""How strong each arm's contrastive term was beside the regression, and what its runs cost."""

from __future__ import annotations

from typing import Any

import pandas as pd

from analysis.results.study import DeclaredArm, StudyResults


def device_seconds(study: StudyResults) -> pd.Series[float]:
    """The median device-seconds of a complete final run, indexed by arm in the order of declaration.

    Arms that train nothing are left out; empty where nothing was recorded.
    """
    return _medians(study, "device_seconds").loc[lambda found: found > 0]


def strengths(study: StudyResults) -> pd.DataFrame:
    """How strong the contrastive term of each arm was, of the arms that have one.

    The gradient ratio of a run is the median over its epochs of ``|g_contrastive| / |g_regression|``, both
    weighted and taken at the embeddings.

    Returns:
        One row per arm: ``arm``, ``weighting`` (raw or balanced), ``gradient_ratio`` (the median of its
        complete final runs), ``low`` and ``high`` (the smallest and the largest), ``runs``,
        ``device_seconds`` and ``times_reference``, the latter two of a final run. Empty where no run recorded
        a ratio.
    """
    if "gradient_ratio" not in study.finals:
        return pd.DataFrame()
    of_arm = study.finals[study.finals["state"] == "complete"].groupby("arm")["gradient_ratio"]
    seconds = device_seconds(study)
    reference = seconds.get(study.reference, float("nan"))
    rows = []
    for arm in study.arms:
        ratios = of_arm.get_group(arm.name).dropna() if arm.name in of_arm.groups else pd.Series(dtype=float)
        if ratios.empty or not (ratios > 0).any():
            continue
        own = float(seconds.get(arm.name, float("nan")))
        rows.append(
            {
                "arm": arm.name, "weighting": setting_of(study, arm, "loss.weighting", "raw"),
                "gradient_ratio": ratios.median(), "low": ratios.min(), "high": ratios.max(),
                "runs": len(ratios), "device_seconds": own, "times_reference": own / reference,
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def _medians(study: StudyResults, column: str) -> pd.Series[Any]:
    if column not in study.finals:
        return pd.Series(dtype=float)
    complete = study.finals[study.finals["state"] == "complete"]
    medians = complete.groupby("arm")[column].median()
    return medians.reindex([arm for arm in study.ordered_arms if arm in medians.index])


def setting_of(study: StudyResults, arm: DeclaredArm, key: str, default: Any) -> Any:
    """Read an arm's setting that was not searched: from --set, else its edits, else the base configuration.

    Args:
        study: as ``load`` gives it.
        arm: of the study.
        key: dotted, of a section and a name.
        default: what it was where an older version recorded none.
    """
    section, _, name = key.partition(".")
    base = ((study.info.get("base") or {}).get(section) or {}).get(name, default)
    return (study.info.get("set") or {}).get(key, arm.edits.get(key, base))

"""How a study is named, headed and footnoted, wherever it appears."""

from __future__ import annotations

import pandas as pd

from analysis.load import Study


def header(study: Study) -> str:
    """``LUS (189 patients, 300 pairs; worse/same/better 90/120/90), phantom``."""
    pairs = study.ledger.drop_duplicates(["patient", "pair"])
    counts = [int((pairs["y_true"] == c).sum()) for c in range(3)]
    size = f"{pairs['patient'].nunique()} patients, {len(pairs)} pairs"
    size += f"; worse/same/better {'/'.join(map(str, counts))}"
    name, *cautions = study.title.split(", ")
    return ", ".join([f"{name} ({size})", *cautions])


def footnote(study: Study, draws: int) -> str:
    """Protocol, bootstrap, search effort, split hash and git SHA of one study."""
    info = study.info
    design = design_of(study, " x ")
    parts = [
        f"{study.title}: protocol {info.get('protocol', 'not recorded')}",
        design,
        f"{draws:,} patient-cluster bootstrap draws, 95 % intervals",
        _effort(study),
        f"splits {str(info.get('split_hash', 'not recorded'))[:12]}",
        f"code {str(info.get('git_sha', 'not recorded'))[:12]}",
    ]
    return "; ".join(parts) + "."


def design_of(study: Study, between: str = ", ") -> str:
    """``5 folds, 1 repeat, 3 seeds``."""
    counts = {key: study.info.get(key, "?") for key in ("folds", "repeats", "seeds")}
    return between.join(f"{n} {key.removesuffix('s') if n == 1 else key}" for key, n in counts.items())


def _effort(study: Study) -> str:
    """Trials and device-hours per arm, in one phrase when the arms are alike."""
    if study.trials.empty:
        return "search not recorded"
    groups = study.trials.groupby("arm")
    trials = groups.size()
    hours = groups["device_seconds"].sum() / 3600 if "device_seconds" in study.trials else None
    if trials.nunique() == 1:
        text = f"{trials.iloc[0]} trials per arm"
    else:
        text = "trials per arm " + ", ".join(f"{study.labels.get(str(a), a)} {n}" for a, n in trials.items())
    if hours is None or hours.isna().all():
        return text
    return f"{text}, {hours.min():.2g} to {hours.max():.2g} device-hours per arm"


def run_hashes(study: Study) -> pd.Series[str]:
    """The final runs behind each arm, joined by semicolons."""
    runs = study.ledger[["arm", "run_hash"]].drop_duplicates()
    return runs.groupby("arm")["run_hash"].agg(lambda hashes: ";".join(sorted(map(str, hashes))))

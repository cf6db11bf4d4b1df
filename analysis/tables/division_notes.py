"""What is to be said below a table of a study whose folds were not drawn at random."""

from __future__ import annotations

from analysis.results.names import printable
from analysis.results.study import StudyResults


def division_notes(study: StudyResults) -> list[str]:
    """Say who is tested in which fold, and what the intervals and tests then assume; no sentence for folds
    that were drawn at random.
    """
    words = str(study.info.get("division") or "")
    if not words or study.ledger.empty:
        return []
    sizes = study.ledger.groupby(["repeat", "fold"])["patient"].nunique()
    places = [printable(str(place)) for place in study.info.get("places") or ()]
    if places:
        known = sizes.droplevel("repeat")
        tested = [f"{place} {int(known.get(fold, 0))}" for fold, place in enumerate(places)]
        who = (
            f"each fold tests the patients of one place, whom no encoder of that fold has seen "
            f"({', '.join(tested)} patients)"
        )
        beyond = (
            "Intervals are about patients of these places and say nothing of the spread between further ones."
        )
    else:
        file = printable(str((study.info.get("splits_file") or {}).get("from", "a file")))
        who, beyond = f"folds are those of {file} and were not drawn at random", ""
    spread = (
        f"{int(sizes.min())} to {int(sizes.max())}" if sizes.min() < sizes.max() else f"{int(sizes.max())}"
    )
    assumed = (
        "Where folds tell the noise of training, the standard error assumes test sets drawn at random and of "
        f"one size; these have {spread} test patients."
    )
    return [" ".join(part for part in (f"{study.title}: {words}: {who}.", assumed, beyond) if part)]

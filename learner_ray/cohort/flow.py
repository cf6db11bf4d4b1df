"""How a cohort's scans become progression pairs, in counts: what a flow diagram of a paper is drawn from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pandas as pd

from learner_ray.cohort.cohort import Cohort


def cohort_flow(cohort: Cohort, unreadable: Mapping[str, str]) -> dict[str, Any]:
    """Counts of scans, visits and patients, from those listed to those in a progression pair.

    Args:
        cohort: as its source was read.
        unreadable: why a scan cannot be decoded, by scan id, in words that name no file.

    Returns:
        Plain values. ``listed`` and ``left_out`` are None where the source does not count what it leaves out.
        ``one_visit`` are visits of patients with no other readable visit; ``no_neighbour`` are further visits
        whose neighbours cannot be read, and those of their patients who have no pair.
    """
    readable = cohort.scans[~cohort.scans["scan"].isin(unreadable)]
    pairs = pairs_among(cohort, readable)
    visits = readable[["patient", "visit"]].drop_duplicates(ignore_index=True)
    in_pairs = _visits_of(visits, pairs)
    alone = visits.groupby("patient")["visit"].transform("size") == 1
    stranded = visits[~in_pairs & ~alone]
    listed = cohort.listed
    return {
        "listed": {"scans": listed.scans, "patients": listed.patients} if listed else None,
        "left_out": dict(listed.left_out) if listed else None,
        "with_score": _counts(cohort.scans),
        "unreadable": dict(sorted(Counter(unreadable.values()).items())),
        "readable": _counts(readable),
        "one_visit": {"visits": int(alone.sum()), "patients": int(alone.sum())},
        "no_neighbour": {
            "visits": len(stranded),
            "patients": len(set(stranded["patient"]) - set(pairs["patient"])),
        },
        "paired": _counts(readable.merge(visits[in_pairs], on=["patient", "visit"])),
        "pairs": len(pairs),
        "class_counts": [int((pairs["y"] == c).sum()) for c in range(3)],
    }


def pairs_among(cohort: Cohort, scans: pd.DataFrame) -> pd.DataFrame:
    """The progression pairs whose visits both have one of some scans; columns as in :meth:`Cohort.pairs`."""
    pairs = cohort.pairs()
    visits = pd.MultiIndex.from_frame(scans[["patient", "visit"]])
    sides = [pd.MultiIndex.from_frame(pairs[["patient", side]]).isin(visits) for side in ("earlier", "later")]
    return pairs[sides[0] & sides[1]].reset_index(drop=True)


def _visits_of(visits: pd.DataFrame, pairs: pd.DataFrame) -> pd.Series[bool]:
    """Which visits are in a pair, one value per row of ``visits``."""
    sides = [pairs[["patient", side]].set_axis(["patient", "visit"], axis=1) for side in ("earlier", "later")]
    found = pd.MultiIndex.from_frame(visits).isin(pd.MultiIndex.from_frame(pd.concat(sides)))
    return pd.Series(found, index=visits.index)


def _counts(scans: pd.DataFrame) -> dict[str, int]:
    return {
        "scans": len(scans),
        "visits": len(scans[["patient", "visit"]].drop_duplicates()),
        "patients": int(scans["patient"].nunique()),
    }

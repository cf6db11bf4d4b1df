"""From the scans that are listed to the pairs: every scan, visit and patient is counted once."""

from __future__ import annotations

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from learner_ray.cohort import Cohort
from learner_ray.cohort.cohort import Scan, scan_table
from learner_ray.cohort.flow import cohort_flow, pairs_among
from learner_ray.cohort.score import MMSE


def cohort(visits: dict[str, int], clips: int = 1) -> Cohort:
    scans = [
        Scan(
            scan=f"{patient}-{visit}-{clip}", files=("f",), patient=patient, visit=str(visit),
            order=float(visit), score=20.0 + visit, source="m.csv", row=2,
        )
        for patient, count in visits.items() for visit in range(count) for clip in range(clips)
    ]  # fmt: skip
    return Cohort(name="c", modality="mri", score=MMSE, scans=scan_table(scans))


def test_each_way_out_of_the_study_is_counted_by_itself() -> None:
    """p has four visits of which the second cannot be read, q one, r two of which one cannot be read."""
    flow = cohort_flow(cohort({"p": 4, "q": 1, "r": 2}), {"p-1-0": "is empty", "r-0-0": "is empty"})
    assert flow["with_score"] == {"scans": 7, "visits": 7, "patients": 3}
    assert flow["unreadable"] == {"is empty": 2}
    assert flow["readable"] == {"scans": 5, "visits": 5, "patients": 3}
    assert flow["one_visit"] == {"visits": 2, "patients": 2}
    assert flow["no_neighbour"] == {"visits": 1, "patients": 0}, "p's first visit, and p has another pair"
    assert flow["paired"] == {"scans": 2, "visits": 2, "patients": 1}
    assert flow["pairs"] == 1 and sum(flow["class_counts"]) == 1
    assert flow["listed"] is None and flow["left_out"] is None, "no source has counted"


@given(
    visits=st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 5), min_size=1),
    clips=st.integers(1, 2),
    data=st.data(),
)
def test_what_is_kept_and_what_is_left_out_add_up(
    visits: dict[str, int], clips: int, data: st.DataObject
) -> None:
    whole = cohort(visits, clips)
    bad = data.draw(st.sets(st.sampled_from(sorted(whole.scans["scan"]))))
    flow = cohort_flow(whole, dict.fromkeys(bad, "is empty"))
    assert flow["with_score"]["scans"] == flow["readable"]["scans"] + len(bad)
    kept = [flow[step]["visits"] for step in ("one_visit", "no_neighbour", "paired")]
    assert flow["readable"]["visits"] == sum(kept)
    patients = [flow[step]["patients"] for step in ("one_visit", "no_neighbour", "paired")]
    assert flow["readable"]["patients"] == sum(patients)
    readable = whole.scans[~whole.scans["scan"].isin(bad)]
    assert flow["pairs"] == len(pairs_among(whole, readable)) <= len(whole.pairs())
    if not bad:
        pd.testing.assert_frame_equal(pairs_among(whole, readable), whole.pairs())

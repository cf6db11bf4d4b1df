"""One rule for names in paths, in the tool and in its report."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from analysis.results import names as of_the_report
from learner_ray.core.names import LONGEST, file_name


@given(st.text())
def test_a_name_is_one_part_of_a_path_and_the_same_in_the_report(text: str) -> None:
    name = file_name(text)
    assert name == of_the_report.file_name(text)
    assert name and "/" not in name and not name.startswith(".") and len(name.encode()) <= LONGEST + 13


@given(st.text(max_size=300), st.text(max_size=300))
def test_different_names_stay_different(one: str, other: str) -> None:
    assert (file_name(one) == file_name(other)) is (one == other)

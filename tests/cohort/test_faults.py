"""Many faults fit a screen, and none is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from learner_ray.cohort.faults import LISTED, Faults, FaultsError, all_listed
from learner_ray.core.errors import UserError


def faulty(missing: int) -> Faults:
    faults = Faults("scans.csv")
    for row in range(2, missing + 2):
        faults.add(row, f"{row}.mp4 does not exist; correct the path")
    faults.add(missing + 2, "score 'many' is not a number: write it as one; remove rows without a score")
    return faults


def test_a_rare_fault_is_told_beside_thousands_of_another_kind() -> None:
    with pytest.raises(UserError) as told:
        faulty(2000).raise_any()
    lines = str(told.value).splitlines()
    assert lines[0] == "scans.csv: 2,001 faults" and len(lines) == 1 + LISTED + 1 + 1
    assert lines[-2:] == ["  and 1,980 more of this kind", lines[-1]] and "'many'" in lines[-1]


def test_few_faults_stay_in_the_order_of_rows() -> None:
    with pytest.raises(FaultsError) as told:
        faulty(3).raise_any()
    assert [line.split(":")[0] for line in str(told.value).splitlines()[1:]] == [
        f"  row {n}" for n in (2, 3, 4, 5)
    ]
    assert not told.value.whole


def test_what_is_left_out_is_in_a_file_that_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"listed in {tmp_path}/all.txt"), all_listed(tmp_path / "all.txt"):
        faulty(LISTED + 1).raise_any()
    assert (tmp_path / "all.txt").read_text().count("does not exist") == LISTED + 1
    with pytest.raises(UserError), all_listed(tmp_path / "few.txt"):
        faulty(LISTED - 1).raise_any()
    assert not (tmp_path / "few.txt").exists()


def test_faults_that_are_all_different_do_not_fill_the_screen_either() -> None:
    error = FaultsError.of("many", [(str(n), f"fault {n}") for n in range(500)])
    assert len(str(error).splitlines()) == 1 + LISTED + 1 and error.whole.count("fault") == 500

"""A user's own partition is taken as it is, or refused with every row that is wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from learner_ray.cohort import Cohort, DivisionAsked, make_splits, splits_hash
from learner_ray.cohort.own_splits import read_splits
from learner_ray.core.errors import UserError
from tests.cohort.test_splits import make_cohort

COHORT: Cohort = make_cohort([[0], [1], [2]] * 4 + [[]])
"""Twelve patients with a pair each, the classes in turn, and P12 who was seen once."""

Row = tuple[str, int | str, int | str]


def rows() -> list[Row]:
    """Two repeats of two folds with all classes on both sides."""
    first: list[Row] = [(f"P{i}", 0, i // 6) for i in range(12)]
    return first + [(f"P{i}", 1, i // 3 % 2) for i in range(12)]


def written(path: Path, table: Sequence[Row], header: str = "patient,repeat,fold") -> Path:
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in table)]) + "\n")
    return path


def test_the_folds_test_whom_the_table_says_and_train_all_others(tmp_path: Path) -> None:
    folds = read_splits(written(tmp_path / "own.csv", rows()), COHORT, seed=0)
    assert [(f.repeat, f.fold) for f in folds] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    for fold in folds:
        said = {patient for patient, *where in rows() if where == [fold.repeat, fold.fold]}
        assert set(fold.test) == said
        trained = [patient for part in fold.parts for patient in part]
        assert sorted([*fold.test, *trained]) == sorted(COHORT.patients)
        assert "P12" in trained, "who has no pair may be left out of the table, and is trained on"


def test_a_table_of_the_folds_that_are_drawn_gives_the_same_folds(tmp_path: Path) -> None:
    drawn = make_splits(COHORT, folds=2, repeats=2, seed=3)
    table: list[Row] = [(patient, f.repeat, f.fold) for f in drawn for patient in f.test]
    found = read_splits(written(tmp_path / "own.csv", table[::-1]), COHORT, seed=3)
    assert splits_hash(found) == splits_hash(drawn)


def edit(place: int, row: Row) -> Callable[[list[Row]], list[Row]]:
    return lambda table: [*table[:place], row, *table[place + 1 :]]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (edit(0, ("Q0", 0, 0)), "row 2: patient 'Q0' is not in the cohort"),
        (edit(0, ("p-00", 0, 0)), "row 2: patient 'p-00' is written 'P0' in the cohort"),
        (edit(0, ("", 0, 0)), "row 2: no patient is named"),
        (edit(0, ("P0", "first", 0)), "row 2: repeat is 'first'; write a whole number from 0"),
        (edit(0, ("P0", 0, "-1")), "row 2: fold is '-1'; write a whole number from 0"),
        (lambda table: [*table, ("P0", 0, 0)], "row 26: patient 'P0' stands in the same fold of repeat"),
        (lambda table: [*table, ("P0", 0, 1)], "row 26: patient 'P0' stands in fold 0 of repeat 0 already"),
        (lambda table: table[1:], "repeat 0 lacks patient 'P0', who has progression pairs"),
        (lambda table: [(p, int(r) + 1, f) for p, r, f in table], "repeats are numbered 1, 2; number them"),
        (lambda table: [(p, r, 2 * int(f)) for p, r, f in table], "folds of repeat 0 are numbered 0, 2"),
        (lambda table: [(p, r, 0) for p, r, _ in table], "repeat 0 has one fold"),
        (lambda table: table[:12] + [(p, 1, f) for p, _, f in table[:12]], "repeat 1 divides the pat"),
        (lambda table: table[:12] + [(p, 1, i // 4) for i, (p, *_) in enumerate(table[:12])], "has 3 folds"),
        (lambda table: [(p, 0, int(i % 3 == 2)) for i, (p, *_) in enumerate(table[:12])], "class 'better' "),
        (lambda table: [], "there is no row"),
    ],
)  # fmt: skip
def test_what_is_no_partition_is_refused_with_file_row_and_remedy(
    tmp_path: Path, change: Callable[[list[Row]], list[Row]], said: str
) -> None:
    path = written(tmp_path / "own.csv", change(rows()))
    with pytest.raises(UserError) as refused:
        read_splits(path, COHORT, seed=0)
    assert str(path) in str(refused.value) and said in str(refused.value)
    assert ";" in str(refused.value), "a remedy"


def test_all_faulty_rows_are_told_at_once(tmp_path: Path) -> None:
    table: list[Row] = [("Q0", 0, 0), ("Q1", 0, 0), *rows()[2:]]
    with pytest.raises(UserError, match=r"2 faults\n  row 2: .*\n  row 3: "):
        read_splits(written(tmp_path / "own.csv", table), COHORT, seed=0)


def test_a_table_without_its_columns_or_that_is_not_there_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "own.csv", rows(), header="patient,repeat,part")
    with pytest.raises(UserError, match="row 1: there is no column fold"):
        read_splits(path, COHORT, seed=0)
    with pytest.raises(UserError, match="cannot be read"):
        read_splits(tmp_path / "none.csv", COHORT, seed=0)


@pytest.mark.parametrize("size", [{"folds": 5}, {"repeats": 1}])
def test_numbers_that_contradict_the_table_are_refused(tmp_path: Path, size: dict[str, int]) -> None:
    path = str(written(tmp_path / "own.csv", rows()))
    DivisionAsked(splits=path, folds=2, repeats=2).divide(COHORT, folds=0, repeats=0, seed=0)
    (name,) = size
    with pytest.raises(UserError, match=f"leave out --{name}"):
        DivisionAsked(splits=path, **size).divide(COHORT, folds=0, repeats=0, seed=0)

"""A table is read in every encoding, separator and line end that spreadsheets write."""

from datetime import datetime

import openpyxl
import pytest

from learner_ray.cohort.any_table import open_table
from learner_ray.core.errors import UserError

ROWS = [("Größe", "score"), ("Müller, Jörg", "27,5"), ("two", "3")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("separator", [";", "\t", ",", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_encodings_separators_and_line_ends(tmp_path, encoding, separator, end):
    path = tmp_path / "scores.csv"
    text = "".join(separator.join(f'"{cell}"' for cell in row) + end for row in ROWS)
    path.write_bytes(text.encode(encoding))
    table = open_table(path)
    assert table.columns == ROWS[0]
    assert [(row, *cells.values()) for row, cells in table.rows] == [(2, *ROWS[1]), (3, *ROWS[2])]
    assert [table.number(cells["score"]) for _, cells in table.rows] == [27.5, 3]
    assert any("Windows-1252" in note for note in table.notes) == (encoding == "cp1252")


@pytest.mark.parametrize(
    ("separator", "text", "number"),
    [
        (";", "1,234", 1.234),
        (",", "1,234", None),  # may be a thousand
        ("\t", "0,125", 0.125),
        (",", "27,5", 27.5),
        (";", "1.234,5", None),
        (";", "\u22124", -4.0),
        (";", "1e3", 1000.0),
        (";", "nan", None),
        (";", "4 mg", None),
    ],
)
def test_a_number_has_one_meaning_or_none(tmp_path, separator, text, number):
    path = tmp_path / "scores.csv"
    path.write_text(f'a{separator}b\n"{text}"{separator}1\n')
    table = open_table(path)
    assert table.number(table.rows[0][1]["a"]) == number


def test_a_workbook(tmp_path):
    book = openpyxl.Workbook()
    book.active.append(["patient", "date", "score", None])
    book.active.append([7, datetime(2024, 1, 31), 27.0])
    book.active.append([None, None, None])
    book.active.append(["8", datetime(2024, 1, 31, 8, 30), 27.5])
    book.create_sheet("notes").append(["not this one"])
    book.save(tmp_path / "scores.xlsx")
    table = open_table(tmp_path / "scores.xlsx")
    assert table.columns == ("patient", "date", "score")
    assert [(row, *cells.values()) for row, cells in table.rows] == [
        (2, "7", "2024-01-31", "27"),
        (4, "8", "2024-01-31T08:30:00", "27.5"),
    ]
    assert table.notes == ("scores.xlsx: the sheet 'Sheet' was read, and not notes",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty"),
        (b"a,b,a\n1,2,3\n", "row 1: column a occurs twice"),
        (b"a,b\n1,2\n1,2,3\n", "row 3: 3 cells under 2 column names"),
        (b'a,b\n"1,2\n', "row 2: cannot be read as a table"),
        (b"\xff\xfea", "damaged utf-16"),
        (b"a" * 300 + b"\0", "it is no text"),
    ],
)
def test_what_is_no_table_is_refused_by_row(tmp_path, content, message):
    path = tmp_path / "scores.csv"
    path.write_bytes(content)
    with pytest.raises(UserError, match=str(path)) as caught:
        open_table(path)
    assert message in str(caught.value)


def test_a_workbook_of_the_old_kind_names_the_remedy(tmp_path):
    with pytest.raises(UserError, match=r"save it as \.xlsx"):
        open_table(tmp_path / "scores.xls")


def test_columns_are_found_in_any_case_and_with_any_separator(tmp_path):
    (tmp_path / "t.csv").write_text("MRI ID,acq_time\n1,2\n")
    table = open_table(tmp_path / "t.csv")
    assert [table.column(name) for name in ("mri_id", "AcqTime", "MRI")] == ["MRI ID", "acq_time", None]


def test_the_very_name_of_a_column_counts_before_one_like_it(tmp_path):
    (tmp_path / "t.csv").write_text("Score 1,score_1\n20,10\n")
    assert open_table(tmp_path / "t.csv").column("score_1") == "score_1"

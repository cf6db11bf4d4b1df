"""One rule for names in paths, in the tool and in its report."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from analysis.results import names as of_the_report
from learner_ray.core.names import LONGEST, file_name, printable, spreadsheet_cell


@given(st.text())
def test_a_name_is_one_part_of_a_path_and_the_same_in_the_report(text: str) -> None:
    name = file_name(text)
    assert name == of_the_report.file_name(text)
    assert name and "/" not in name and not name.startswith(".") and len(name.encode()) <= LONGEST + 13


@given(st.text(max_size=300), st.text(max_size=300))
def test_different_names_stay_different(one: str, other: str) -> None:
    assert (file_name(one) == file_name(other)) is (one == other)


@given(st.text())
def test_the_report_makes_names_harmless_as_the_tool_does(text: str) -> None:
    assert printable(text) == of_the_report.printable(text)
    assert spreadsheet_cell(text) == of_the_report.spreadsheet_cell(text)


def test_no_name_commands_a_terminal_or_is_a_formula() -> None:
    assert printable("\x1b[31mred\x1b]0;title\x07\r\x9bx\nnext") == "?[31mred?]0;title???x\nnext"
    for formula in ("=cmd|' /C calc'!A0", "@SUM(1)", "+1+cmd|x", "-2+3+cmd|x", "\t=1", "-x"):
        assert spreadsheet_cell(formula) == "'" + formula
    for harmless in ("-0.12 [-0.30, 0.01]", "+5", "1=2", "a-b", "", "-1e-05"):
        assert spreadsheet_cell(harmless) == harmless

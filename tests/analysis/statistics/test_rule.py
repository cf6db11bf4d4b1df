"""What a study records of the rule's error and coverage is what docs/verdict.md measured."""

import re
from pathlib import Path

from analysis.statistics.rule import ANALYSIS, CALIBRATION

ROOT = Path(__file__).parents[3]


def shares(heading, column):
    """The percentages of one column of the table whose first cell holds some words, as shares."""
    lines = (ROOT / "docs/verdict.md").read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("|") and heading in line) + 2
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        rows.append(float(re.match(r"[\d.]+", line.split("|")[column].strip())[0]) / 100)
    return rows


def test_the_recorded_calibration_is_the_documented_one():
    found = CALIBRATION[ANALYSIS]
    single, families, broken = (
        "2,000 studies each",
        "equally good arms (1,000 studies each)",
        "for the better",
    )
    ranges = {
        "coverage": shares(single, 2), "supported": shares(single, -2),
        "any_supported": shares(families, -2), "not_held": shares(broken, 2)[:3],
    }  # fmt: skip
    assert len(ranges["coverage"]) == found["conditions"]
    recorded = {
        "coverage": found["coverage"], "supported": found["supported"],
        "any_supported": found["families"]["any_supported"], "not_held": found["not_held"]["supported"],
    }  # fmt: skip
    assert {name: [round(min(of), 4), round(max(of), 4)] for name, of in ranges.items()} == recorded

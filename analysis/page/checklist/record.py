"""What a study's records hold for a checklist, and where on the page it stands."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.page.check import Check
from analysis.page.places import anchor
from analysis.results.names import file_name
from analysis.results.study import StudyResults
from analysis.statistics.study_statistics import StudyStatistics
from analysis.tables.table import Table

HERE = ""
"""The anchor of what stands nowhere else: the checklist's own row has the value."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What the record has for an item."""

    value: str
    at: str = HERE
    """Anchor of the place on the page."""
    applies: bool = True
    """False where the record shows that the item is about something that the study does not have."""


@dataclass(frozen=True, kw_only=True)
class ReportedStudy:
    """One study, and what its report shows: what a checklist looks at."""

    statistics: StudyStatistics
    tables: Sequence[Table]
    places: Mapping[str, str]
    """The title of every place of the page, by its anchor."""
    checks: Sequence[Check]
    methods: str
    """The Methods section."""

    @property
    def study(self) -> StudyResults:
        """The study's results."""
        return self.statistics.study

    def get(self, key: str) -> Any:
        """A value of study.json by its dotted key; None where it is absent, empty or below no object."""
        value = self.study.recorded(*key.split("."))
        return None if value in ("", [], {}) else value

    def classes(self, last: str) -> str:
        """The names of the classes: ``worse, same or better``, with a word before the last."""
        return f" {last} ".join(", ".join(self.study.classes).rsplit(", ", 1))

    def values(self, section: str, names: Sequence[str]) -> str:
        """``epochs 8, lr 0.002``: those of some values of a section that are recorded."""
        known = {name: self.get(f"{section}.{name}") for name in names}
        return ", ".join(f"{name} {value}" for name, value in known.items() if value is not None)

    def in_methods(self, *words: object) -> str:
        """The Methods section where it holds all of some words, in either case, else the checklist itself."""
        patterns = [rf"(?<!\w){re.escape(str(word))}(?!\w)" for word in words]
        whole = all(re.search(pattern, self.methods, re.IGNORECASE) for pattern in patterns)
        return "methods" if whole else HERE

    def stated(self, value: str, *words: object) -> Evidence | None:
        """A value, at the Methods section where that holds some words; None for an empty value."""
        return Evidence(value=value, at=self.in_methods(*words)) if value else None

    def table(self, name: str) -> str:
        """The anchor of a table of the page that has rows of this study; empty where there is none."""
        found = anchor(name, "table")
        rows = next((table.data for table in self.tables if table.name == name), pd.DataFrame())
        known = "study" in rows and bool((rows["study"] == self.study.key).any())
        return found if known and found in self.places else ""

    def figure(self, name: str) -> str:
        """The anchor of this study's figure of some kind, such as ``flow``; empty where there is none."""
        found = anchor(file_name(f"{name}-{self.study.key}"), "figure")
        return found if found in self.places else ""

    def check(self, name: str) -> Check | None:
        """A validity check that was made; None where it was not, or could not be."""
        made = (check for check in self.checks if check.name == name and check.status != "not checked")
        return next(made, None)

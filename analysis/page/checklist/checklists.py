"""The two checklists, item by item: reported and where, not reported, or not applicable.

Numbers and topics are those of TRIPOD+AI (Collins et al., BMJ 2024;385:e078378) and of CLAIM, update of 2024
(Tejani et al., Radiology: Artificial Intelligence 2024;6(4):e240300), the topics in words of our own. Whether
an item is reported is decided by the study's record alone.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from analysis.page.checklist import data, model, results
from analysis.page.checklist.record import HERE, Evidence, ReportedStudy
from analysis.tables.table import Table, panel_of

CHECKLISTS = {
    "tripod_ai": "TRIPOD+AI (Collins et al., BMJ 2024;385:e078378)",
    "claim": "CLAIM 2024 (Tejani et al., Radiol Artif Intell 2024;6(4):e240300)",
}
"""Title of each checklist, by the name of its file."""
LOOKS: dict[str, tuple[Callable[[ReportedStudy], Evidence | None], str]] = {
    "question": (data.question, "what was declared to be tested"),
    "protocol": (data.protocol, "a frozen protocol"),
    "cohort": (data.cohort, "the cohort"),
    "no_patients": (data.no_patients, ""),
    "sites": (data.sites, "sites"),
    "devices": (data.devices, "devices"),
    "preparation": (data.preparation, "how scans are prepared"),
    "frames": (data.frames, "frames of a scan that are used"),
    "left_out": (data.left_out, "what was left out"),
    "listed": (data.listed, "scans before any was left out"),
    "flow": (data.flow, "the flow of patients"),
    "outcome_counts": (data.outcome_counts, "pairs by class"),
    "external_flow": (data.external_flow, "an external cohort"),
    "one_cohort": (data.one_cohort, ""),
    "outcome": (data.outcome, "the score and its threshold"),
    "interval": (data.interval, "days between visits"),
    "covariates": (data.covariates, "age, sex and further covariates"),
    "partitions": (data.partitions, "partitions"),
    "inner_sizes": (data.inner_sizes, "sizes of training, validation and test sets"),
    "disjoint": (data.disjoint, "a check that patients are disjoint"),
    "sample_size": (data.sample_size, "a calculation of sample size"),
    "predictors": (model.predictors, "what the classifier sees"),
    "model": (model.model, "the model"),
    "output": (model.output, "the output"),
    "weights": (model.weights, "initial weights"),
    "training": (model.training, "training"),
    "search": (model.search, "the search"),
    "selection": (model.selection, "the selection"),
    "imbalance": (model.imbalance, "how classes are balanced"),
    "software": (model.software, "versions"),
    "code": (model.code, "commit and command"),
    "run_hashes": (model.run_hashes, "runs by their hash"),
    "no_ensemble": (model.no_ensemble, ""),
    "no_updating": (model.no_updating, ""),
    "metrics": (results.metrics, "metrics"),
    "performance": (results.performance, "performance"),
    "by_class": (results.by_class, "performance by class"),
    "uncertainty": (results.uncertainty, "intervals"),
    "calibration": (results.calibration, "calibration"),
    "net_benefit": (results.net_benefit, "a decision curve"),
    "external": (results.external, "a test on an external cohort"),
    "external_if_any": (results.external, ""),
    "subgroups": (results.subgroups, "subgroups"),
    "clusters": (results.clusters, "differences between places or subgroups"),
    "score_reliability": (results.score_reliability, "retests of the score"),
    "robustness": (results.robustness, "checks of robustness"),
    "failed_runs": (results.failed_runs, "failed final runs"),
    "confusion": (results.confusion, "confusion matrices"),
    "far_errors": (results.far_errors, "far errors"),
    "verdict": (results.verdict, "verdicts"),
}
"""What each name in the column ``evidence`` of a checklist's file looks up, and what is missing without it;
no words where the absence says nothing."""
REPORTED, PARTLY = "reported", "reported in part"
NOT_REPORTED, NOT_APPLICABLE = "not reported", "not applicable"
FOR_AUTHORS = "for the authors"
WHOLE = "all"
"""Stands in a checklist's file where nothing of an item can be in a record."""


@dataclass(frozen=True, kw_only=True)
class Item:
    """One row of a checklist, as its file states it."""

    item: str
    """Its number: ``12a``."""
    section: str
    topic: str
    evidence: tuple[str, ...]
    """What of the record answers it, by the names in ``LOOKS``."""
    rest: str
    """What no record can say, which is left to the authors; empty where nothing is."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What one study has for an item."""

    status: str
    found: tuple[Evidence, ...]
    to_say: str
    """What is not recorded, and what is left to the authors."""

    @property
    def recorded(self) -> str:
        """The recorded values."""
        return "; ".join(evidence.value for evidence in self.found)

    @property
    def anchors(self) -> tuple[str, ...]:
        """The places of what is reported elsewhere on the page, each once."""
        return tuple(at for at in self._at if at != HERE)

    @property
    def is_here(self) -> bool:
        """Whether some of it stands in the checklist's own row alone."""
        return HERE in self._at

    @property
    def _at(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(evidence.at for evidence in self.found if evidence.applies))

    def status_and_places(self, titles: Mapping[str, str]) -> str:
        """``reported at Methods and here``.

        Args:
            titles: of the places, by anchor.
        """
        elsewhere = f" at {', '.join(titles[at] for at in self.anchors)}" if self.anchors else ""
        here = (" and here" if elsewhere else " here") if self.is_here else ""
        return f"{self.status}{elsewhere}{here}"


@dataclass(frozen=True, kw_only=True)
class Line:
    """A row as it is shown: an item, and the studies that have this answer."""

    item: Item
    studies: tuple[str, ...]
    """Titles of the studies; empty where all have the same answer."""
    answer: Answer


@dataclass(frozen=True, kw_only=True)
class Checklist:
    """A checklist answered for all studies of a report."""

    name: str
    title: str
    lines: tuple[Line, ...]
    table: Table
    """Its file: one row per study and item."""


def items(name: str) -> list[Item]:
    """Read the items of a checklist, by the name of its file."""
    text = (Path(__file__).parent / f"{name}.csv").read_text(encoding="utf-8")
    return [
        Item(
            item=row["item"], section=row["section"], topic=row["topic"],
            evidence=tuple(row["evidence"].split()), rest=row["rest"],
        )
        for row in csv.DictReader(text.splitlines())
    ]  # fmt: skip


def answer(item: Item, record: ReportedStudy) -> Answer:
    """Decide from a study's record what is reported of an item."""
    looked = {name: LOOKS[name][0](record) for name in item.evidence}
    found = tuple(evidence for evidence in looked.values() if evidence)
    exempt = tuple(evidence for evidence in found if not evidence.applies)
    if exempt:
        return Answer(status=NOT_APPLICABLE, found=exempt, to_say="")
    absent = [LOOKS[name][1] for name, evidence in looked.items() if evidence is None and LOOKS[name][1]]
    to_say = [f"not recorded: {', '.join(absent)}"] if absent else []
    if item.rest:
        to_say.append(FOR_AUTHORS if item.rest == WHOLE else f"{FOR_AUTHORS}: {item.rest}")
    status = NOT_REPORTED if not found else PARTLY if to_say else REPORTED
    left = "; ".join(to_say) or ("" if found else FOR_AUTHORS)
    return Answer(status=status, found=found, to_say=left)


def checklists(records: Sequence[ReportedStudy]) -> list[Checklist]:
    """Answer both checklists for the studies of a report."""
    return [_checklist(name, title, records) for name, title in CHECKLISTS.items()]


def _checklist(name: str, title: str, records: Sequence[ReportedStudy]) -> Checklist:
    answers = {item: [answer(item, record) for record in records] for item in items(name)}
    lines = tuple(line for item, found in answers.items() for line in _lines(item, found, records))
    rows = [
        _row(item, record, each)
        for item, found in answers.items()
        for record, each in zip(records, found, strict=True)
    ]
    places = {at: place for record in records for at, place in record.places.items()}
    columns = ["Topic", "Status", "Recorded", "Left to say"]
    panel = panel_of([(line.item.item, _cells(line, places)) for line in lines], columns)
    studies = ", ".join(record.study.title for record in records)
    table = Table(
        name=f"checklist_{name}", title=f"Checklist {title}", data=pd.DataFrame(rows),
        panels=[(studies, panel)], widths=(0.06, 0.24, 0.2, 0.25, 0.25),
        notes=["Numbers are those of the checklist, words are not. Status is decided by the study's record."],
    )  # fmt: skip
    return Checklist(name=name, title=title, lines=lines, table=table)


def _row(item: Item, record: ReportedStudy, answer: Answer) -> dict[str, str]:
    """The answer of one study as a row of the file."""
    places = [*(record.places[at] for at in answer.anchors), *["here"] * answer.is_here]
    return {
        "study": record.study.key, "cautions": "; ".join(record.study.cautions), "item": item.item,
        "section": item.section, "topic": item.topic, "status": answer.status, "places": "; ".join(places),
        "recorded": answer.recorded, "to_say": answer.to_say,
    }  # fmt: skip


def _lines(item: Item, found: Sequence[Answer], records: Sequence[ReportedStudy]) -> list[Line]:
    """One line for all studies where they have the same answer, else one for each answer."""
    by_answer: dict[Answer, list[str]] = {}
    for record, each in zip(records, found, strict=True):
        by_answer.setdefault(each, []).append(record.study.title)
    alike = len(by_answer) == 1
    return [
        Line(item=item, studies=() if alike else tuple(titles), answer=each)
        for each, titles in by_answer.items()
    ]


def _cells(line: Line, places: Mapping[str, str]) -> list[str]:
    answer = line.answer
    topic = f"{', '.join(line.studies)}: {line.item.topic}" if line.studies else line.item.topic
    return [topic, answer.status_and_places(places), answer.recorded, answer.to_say]

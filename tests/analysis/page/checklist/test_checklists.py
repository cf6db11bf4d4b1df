"""An item is reported because the record has it, at a place that the page has, and else it is not."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest
from frozen_results import change_study, frozen_results

from analysis.building import all_tables
from analysis.figures.decision_curve import decision_curve
from analysis.figures.final_runs import confusion
from analysis.figures.flow import flow_diagram
from analysis.page.check import Check
from analysis.page.checklist.checklists import (
    CHECKLISTS,
    FOR_AUTHORS,
    LOOKS,
    NOT_APPLICABLE,
    NOT_REPORTED,
    PARTLY,
    REPORTED,
    answer,
    checklists,
    items,
)
from analysis.page.checklist.record import ReportedStudy
from analysis.page.methods_text.section import study_methods
from analysis.page.page import Report, html
from analysis.page.places import anchor
from analysis.results.load import load
from analysis.statistics.compare import Comparison
from analysis.statistics.study_statistics import study_statistics
from analysis.tables.render import latex, markdown

RECORDED: dict[str, Any] = {
    "base": {
        "data": {"image_size": 64, "frames": 4, "augment": 1.0},
        "encoder": {"name": "tsm_resnet18", "weights": "none"},
        "progression": {"input": "difference", "head": "logistic", "decision": "prior"},
        "train": {"optimizer": "adamw", "lr": 0.002, "epochs": 8, "balance": "none"},
    },
    "sampler": "tpe", "pruner": "halving", "threads": 1,
    "methods": {"inner": {"trial": {"patients": [30, 31]}, "test": {"patients": [12, 12]}}},
    "external": {"name": "elsewhere", "cohort_hash": "ab" * 32},
    "places": ["A", "B"], "division": "one site left out at a time",
    "flow": {"listed": {"scans": 300, "patients": 70}, "left_out": {"no score": 8}},
}  # fmt: skip
"""What a study of today records beside what the synthetic folder has."""
ROLES = {"inner": {role: {"patients": [9, 9]} for role in ("trial", "validation", "final", "test")}}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The report of a study that has all that any item asks for."""
    folder = frozen_results(
        tmp_path_factory.mktemp("results") / "a study", sample_size={"difference": 0.12, "power": 0.8}
    )
    cohort = {**load([folder]).studies[0].cohort, "covariates": {"age": 80, "sex": 0}}
    change_study(folder, **RECORDED, cohort=cohort)
    pd.read_parquet(folder / "ledger.parquet").to_parquet(folder / "external.parquet")
    visits = [(f"p{i:04d}", "1", 200.0 + 9 * i + k) for i in range(20) for k in range(2)]
    pd.DataFrame(visits, columns=["patient", "visit", "rating"]).to_parquet(folder / "ratings.parquet")
    item = study_statistics(load([folder]).studies[0], 100)
    drawings = [draw(item) for draw in (flow_diagram, confusion, decision_curve)]
    return Report(statistics=[item], tables=all_tables([item]), drawings=drawings)


DISJOINT = Check(name="Patient disjointness", status="green", looked_at="runs", found="no patient")
"""A synthetic folder has no runs that could be looked at."""


@pytest.fixture(scope="module")
def record(report: Report) -> ReportedStudy:
    (item,), (checks,) = report.statistics, report.checks
    return ReportedStudy(
        statistics=item, tables=report.tables, places=report.places, checks=[*checks, DISJOINT],
        methods="\n".join(part.text for part in report.methods),
    )  # fmt: skip


def with_info(record: ReportedStudy, **changes: Any) -> ReportedStudy:
    study = replace(record.study, info={**record.study.info, **changes})
    return replace(record, statistics=replace(record.statistics, study=study))


def without(record: ReportedStudy, key: str) -> ReportedStudy:
    """The record without a value of study.json, by its dotted key."""

    def left(values: Mapping[str, Any], parts: list[str]) -> dict[str, Any]:
        if len(parts) == 1:
            return {name: value for name, value in values.items() if name != parts[0]}
        return {**values, parts[0]: left(values[parts[0]], parts[1:])}

    changed = left(record.study.info, key.split("."))
    return with_info(replace(record), **{**dict.fromkeys(record.study.info), **changed})


def no_tables(record: ReportedStudy) -> ReportedStudy:
    return replace(record, tables=[], places={})


def no_checks(record: ReportedStudy) -> ReportedStudy:
    return replace(record, checks=[])


def no_ledger(record: ReportedStudy) -> ReportedStudy:
    study = replace(record.study, ledger=record.study.ledger.iloc[:0])
    nothing = Comparison(pd.DataFrame(), pd.DataFrame(), pd.DataFrame())
    return replace(record, statistics=replace(record.statistics, study=study, comparison=nothing))


def no_column(name: str) -> Callable[[ReportedStudy], ReportedStudy]:
    def changed(record: ReportedStudy) -> ReportedStudy:
        study = replace(record.study, ledger=record.study.ledger.drop(columns=name))
        return replace(record, statistics=replace(record.statistics, study=study))

    return changed


def no_external(record: ReportedStudy) -> ReportedStudy:
    study = replace(record.study, external=record.study.external.iloc[:0])
    return replace(record, statistics=replace(record.statistics, study=study))


BEHIND: dict[str, str | Callable[[ReportedStudy], ReportedStudy]] = {
    "question": "frozen", "protocol": "frozen", "cohort": "cohort.name", "sites": no_column("site"),
    "devices": no_column("device"), "preparation": "base.data", "frames": "base.data.frames",
    "left_out": lambda record: without(without(record, "flow"), "left_out"),
    "listed": "flow.listed", "flow": no_ledger, "outcome_counts": no_ledger,
    "external_flow": no_external, "outcome": "cohort.score", "interval": no_column("interval_days"),
    "covariates": "cohort.covariates", "partitions": "split_hash", "inner_sizes": "methods",
    "disjoint": no_checks, "sample_size": "frozen.sample_size", "predictors": "base.progression.input",
    "model": "base.encoder", "output": "base.progression", "weights": "base.encoder.weights",
    "training": "base.train", "search": "trials", "selection": "selection_metric",
    "imbalance": "base.train.balance", "software": "versions", "code": "git_sha", "run_hashes": no_ledger,
    "metrics": no_tables, "performance": no_ledger, "by_class": no_tables, "uncertainty": no_ledger,
    "calibration": no_tables, "net_benefit": no_tables, "external": no_external,
    "external_if_any": no_external, "subgroups": no_tables,
    "clusters": lambda record: without(no_tables(record), "places"),
    "score_reliability": no_tables, "robustness": no_checks, "failed_runs": no_checks,
    "confusion": no_tables, "far_errors": lambda record: no_ledger(no_tables(record)), "verdict": no_ledger,
}  # fmt: skip
"""What of the record is behind each answer."""
EXEMPT = {"no_patients", "one_cohort", "no_ensemble", "no_updating"}
"""These say that an item does not apply."""


@pytest.mark.parametrize(("name", "count", "numbers"), [("tripod_ai", 52, 27), ("claim", 44, 44)])
def test_the_lists_are_whole_and_in_few_words(name: str, count: int, numbers: int) -> None:
    found = items(name)
    assert len(found) == count == len({item.item for item in found})
    assert [int(re.sub("[a-z]", "", item.item)) for item in found] == sorted(
        int(re.sub("[a-z]", "", item.item)) for item in found
    )
    assert {int(re.sub("[a-z]", "", item.item)) for item in found} == set(range(1, numbers + 1))
    for item in found:
        assert 1 <= len(item.topic.split()) <= 12 and item.section
        assert set(item.evidence) <= set(LOOKS)
        assert item.evidence or item.rest, f"{item.item}: nothing answers it, and nothing is left to say"


def test_every_look_is_asked_for_and_tried_here() -> None:
    asked = {name for listed in CHECKLISTS for item in items(listed) for name in item.evidence}
    assert asked == set(LOOKS) == set(BEHIND) | EXEMPT


@pytest.mark.slow
@pytest.mark.parametrize("name", BEHIND)
def test_what_the_record_loses_is_reported_no_more(record: ReportedStudy, name: str) -> None:
    look, behind = LOOKS[name][0], BEHIND[name]
    found = look(record)
    assert found is not None and found.value and found.applies
    assert look(without(record, behind) if isinstance(behind, str) else behind(record)) is None


@pytest.mark.slow
def test_an_item_is_exempt_only_where_the_record_shows_it(record: ReportedStudy) -> None:
    phantom = with_info(record, cohort={**record.study.cohort, "phantom": True})
    alone = without(without(no_external(record), "external"), "places")
    shows = {"no_patients": phantom, "one_cohort": alone, "no_ensemble": record, "no_updating": alone}
    hides = {"no_patients": record, "one_cohort": record, "no_ensemble": no_ledger(record)}
    for name in EXEMPT:
        found = LOOKS[name][0](shows[name])
        assert found is not None and not found.applies
        assert LOOKS[name][0](hides.get(name, record)) is None
    (ethics,) = (item for item in items("tripod_ai") if item.item == "17")
    assert answer(ethics, phantom).status == NOT_APPLICABLE
    assert answer(ethics, record).status == NOT_REPORTED
    assert "phantom" in answer(items("claim")[6], phantom).recorded


@pytest.mark.slow
def test_of_an_empty_record_nothing_is_reported(record: ReportedStudy) -> None:
    empty = with_info(record, **dict.fromkeys(record.study.info))
    for lose in (no_ledger, no_external, no_tables, no_checks):
        empty = lose(empty)
    for listed in CHECKLISTS:
        for item in items(listed):
            found = answer(item, empty)
            assert found.status == NOT_REPORTED and found.to_say, item.item


@pytest.mark.slow
def test_the_status_says_what_is_missing(record: ReportedStudy) -> None:
    size = next(item for item in items("claim") if item.item == "21")
    assert answer(size, record).status == REPORTED and "difference 0.12" in answer(size, record).recorded
    lost = answer(size, without(record, "frozen.sample_size"))
    assert lost.status == NOT_REPORTED and lost.to_say == "not recorded: a calculation of sample size"
    funding = answer(items("claim")[-1], record)
    assert funding.status == NOT_REPORTED and funding.to_say == FOR_AUTHORS
    flow = next(item for item in items("claim") if item.item == "35")
    assert answer(flow, record).status == REPORTED
    assert answer(flow, without(record, "flow")).status == PARTLY


@pytest.mark.slow
def test_methods_is_the_place_of_what_it_says_and_of_nothing_else(record: ReportedStudy) -> None:
    look = LOOKS["weights"][0]
    told = look(replace(record, methods="Encoders began with weights none."))
    silent = look(replace(record, methods="Nonetheless."))
    assert told is not None and told.at == "methods" and silent is not None and silent.at == ""


def value(record: ReportedStudy, name: str) -> str:
    found = LOOKS[name][0](record)
    assert found is not None
    return found.value


@pytest.mark.slow
def test_what_methods_says_in_its_own_words_is_reported_there(record: ReportedStudy) -> None:
    """Seen: all of these *here*, since Methods begins sentences with capitals and writes no raw settings."""
    for name in ("predictors", "training", "imbalance", "output", "uncertainty"):
        found = LOOKS[name][0](record)
        assert found is not None and found.at == "methods", name
    planned = {"metric": "macro-F1", "difference": 1 / 9, "known": True, "power": 0.8}
    sized = with_info(record, frozen={**record.study.info["frozen"], "sample_size": planned})
    said = "\n".join(paragraph.text for paragraph in study_methods(sized.study))
    found = LOOKS["sample_size"][0](replace(sized, methods=said))
    assert found is not None and found.at == "methods"
    assert found.value == "metric macro-F1, difference 0.111111, power 0.8"
    unknown = {**planned, "difference": None, "known": False}
    sized = with_info(record, frozen={**record.study.info["frozen"], "sample_size": unknown})
    assert "difference not known" in value(sized, "sample_size")


@pytest.mark.slow
def test_decline_is_told_in_its_two_classes(record: ReportedStudy) -> None:
    decline = no_tables(with_info(record, endpoint="decline"))
    assert value(record, "outcome").startswith("worse, same or better: S/F ratio changes by 25")
    assert value(decline, "outcome").startswith("worse or not worse: S/F ratio gets worse by 25")
    assert value(decline, "output").startswith("probabilities of worse and not worse;")
    assert value(decline, "far_errors").startswith("two classes")


@pytest.mark.slow
def test_a_search_is_told_as_it_was(record: ReportedStudy) -> None:
    """Seen: a best trial of a study without trials, a search in every fold of a study with one, and none in
    an older study that did not record what it searched."""
    named = [{**arm, "searched": []} for arm in record.study.info["arms"]]
    arms = tuple(replace(arm, searched=()) for arm in record.study.arms)
    idle = replace(record.study, arms=arms, info={**record.study.info, "arms": named, "trials": 0})
    none = replace(record, statistics=replace(record.statistics, study=idle))
    assert value(none, "search") == "nothing was searched"
    assert value(none, "selection") == "nothing was searched, so no trial was selected"
    assert "validation" not in value(with_info(none, methods=ROLES), "inner_sizes")
    assert "validation 9 to 9" in value(with_info(record, methods=ROLES), "inner_sizes")
    assert "of each searched arm in each fold" in value(record, "search")
    assert "of each searched arm in the first fold" in value(with_info(record, development=True), "search")
    unnamed = [{key: arm[key] for key in arm if key != "searched"} for arm in named]
    older = with_info(none, arms=unnamed, trials=8)
    assert value(older, "search").startswith("8 trials") and "best trial" in value(older, "selection")


@pytest.mark.slow
def test_every_link_of_the_page_leads_somewhere(report: Report) -> None:
    page = html(report)
    ids = re.findall(r'\bid="([^"]*)"', page)
    assert len(ids) == len(set(ids)), sorted(name for name in set(ids) if ids.count(name) > 1)
    links = set(re.findall(r'href="#([^"]*)"', page))
    assert links <= set(ids)
    linked = {at for each in report.checklists for line in each.lines for at in line.answer.anchors}
    assert linked <= links
    assert linked >= {
        anchor("external", "table"),
        anchor("far_errors", "table"),
        anchor("flow-a study", "figure"),
    }


@pytest.mark.slow
def test_studies_share_a_line_where_they_answer_alike(record: ReportedStudy) -> None:
    other = replace(record.study, key="mri", info={**record.study.info, "modality": "mri", "frozen": None})
    second = replace(record, statistics=replace(record.statistics, study=other))
    claim = checklists([record, second])[1]
    by_item: dict[str, list[tuple[str, ...]]] = {}
    for line in claim.lines:
        by_item.setdefault(line.item.item, []).append(line.studies)
    assert by_item["44"] == [()], "funding"
    assert by_item["21"] == [("LUS a study",), ("MRI",)], "sample size"
    assert len(claim.table.data) == 2 * 44 and set(claim.table.data["status"]) >= {REPORTED, NOT_REPORTED}
    assert markdown(claim.table).count("\n| 21 |") == 2
    assert r"\begin{longtable}" in latex(claim.table) and r"\resizebox" not in latex(claim.table)


@pytest.mark.slow
def test_a_page_without_figures_says_that_the_flow_is_not_reported(record: ReportedStudy) -> None:
    report = Report(statistics=[record.statistics], tables=record.tables[:1], drawings=[])
    flow = next(line for line in report.checklists[1].lines if line.item.item == "35")
    assert flow.answer.status == NOT_REPORTED

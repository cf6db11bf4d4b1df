"""Names that people choose are never a path, a key that merges two, or another language's signs."""

import json

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from make_results import make_results

from analysis.building import all_tables
from analysis.figures.drawing import save
from analysis.figures.final_runs import calibration
from analysis.figures.search import budget
from analysis.page.page import inline_svg
from analysis.results.load import load
from analysis.results.names import file_name, printable
from analysis.statistics.study_statistics import study_statistics
from analysis.tables.render import latex, markdown, plain

ODD = (
    "w/o shift",
    "../up",
    "a,b",
    "$x<y$ & 5 %",
    "Größe α 中",
    "<script>",
    "*b*",
    "a\x1b[31m",
    "..",
    "",
    "=2f",
)


@settings(max_examples=50)
@given(st.lists(st.text(max_size=130), unique=True, max_size=3))
def test_names_become_parts_of_paths_and_stay_different(names):
    made = [file_name(name) for name in [*ODD, *(n for n in names if n not in ODD)]]
    assert len(set(made)) == len(made)
    for part in made:
        assert part not in ("", ".", "..") and not {"/", "\\", "\0", ":"} & set(part)
        assert len(part.encode()) < 200 and not part.startswith(".")


def test_usual_names_stay_as_they_are():
    for name in ("mse", "no_shift", "lus-phantom", "margin-0.1_weighted-true", "my study (2)"):
        assert file_name(name) == name


def renamed(folder, names):
    """The study's arms under other names and labels."""
    info = json.loads((folder / "study.json").read_text())
    new = dict(zip([arm["name"] for arm in info["arms"]], names, strict=True))
    for arm in info["arms"]:
        arm["name"] = arm["label"] = new[arm["name"]]
    info["reference"] = new["mse"]
    (folder / "study.json").write_text(json.dumps(info))
    for name in ("ledger", "trials", "scores"):
        table = pd.read_parquet(folder / f"{name}.parquet")
        table.assign(arm=table["arm"].map(new)).to_parquet(folder / f"{name}.parquet")
    return folder


def test_odd_arms_are_reported_like_others(tmp_path):
    plain_study = load([make_results(tmp_path / "a/lus")]).studies[0]
    odd = renamed(
        make_results(tmp_path / "b/../up & $x_{y}"), ("w/o shift", "../up", "$x<y$ α中", "<b>*b*</b>")
    )
    study = load([odd]).studies[0]
    expected, got = (study_statistics(s, 200).comparison.tests for s in (plain_study, study))
    assert got["p"].tolist() == expected["p"].tolist()
    table = all_tables([study_statistics(study, 200)])[0]
    assert r"\$x\<y\$ α中" in markdown(table) and r"\<b>\*b\*\</b>" in markdown(table)
    assert r"\$x$<$y\$ $\alpha$[U+4E2D]" in latex(table)
    assert "w/o shift" in plain(table) and "../up" in plain(table)


@pytest.mark.slow
def test_two_studies_of_one_folder_name_keep_their_figures_apart(tmp_path):
    """Seen: a traceback and half a report."""
    folders = [make_results(tmp_path / "A/lus"), make_results(tmp_path / "B/lus", seed=1)]
    studies = load(folders).studies
    assert [study.key for study in studies] == ["A/lus", "B/lus"]
    statistics = [study_statistics(study, 100) for study in studies]
    drawings = [draw(item) for item in statistics for draw in (budget, calibration)]
    assert len({drawing.name for drawing in drawings}) == 4
    assert len({inline_svg(drawing)[:80] for drawing in drawings}) == 4, "ids of their own in the page"
    for drawing in drawings[::2]:
        save(drawing, tmp_path / "figures")
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == [
        f"budget-{study}=2flus.{kind}" for study in "AB" for kind in ("csv", "pdf", "svg")
    ]


def test_two_arms_of_one_label_are_two_rows(tmp_path):
    folder = make_results(tmp_path / "lus")
    info = json.loads((folder / "study.json").read_text())
    for arm in info["arms"]:
        arm["label"] = "same"
    (folder / "study.json").write_text(json.dumps(info))
    tables = {table.name: table for table in all_tables([study_statistics(load([folder]).studies[0], 100)])}
    assert len(tables["headline"].panels[0][1]) == 4 and len(tables["tests"].panels[0][1]) == 2


def test_control_characters_do_not_reach_the_terminal():
    assert printable("a\x1b[31mb\nc") == "a?[31mb\nc"

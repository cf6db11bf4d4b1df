"""The primary metric of a study may be defined in its study file, which is imported for nothing else."""

import hashlib
import json
import shutil
import sys

import pandas as pd
import pytest
from make_results import ARMS, CONTROLS, change_ledger, make_ledger, make_results
from own_metrics import EXAMPLE, install

from analysis.figures.final_runs import forest
from analysis.page.staleness import changed_sources
from analysis.report import main
from analysis.results.errors import ReportError
from analysis.results.load import load
from analysis.statistics import study_metric
from analysis.statistics.study_metric import name_study_files, primary_metric
from analysis.statistics.study_statistics import study_statistics
from learner_ray.study.study_file import load_study

pytestmark = pytest.mark.usefixtures("own_metrics")


@pytest.fixture
def file(tmp_path, monkeypatch):
    """The study file of the page."""
    path = tmp_path / "triage.py"
    path.write_text(EXAMPLE)
    monkeypatch.setattr(study_metric, "_named", {})
    return path


@pytest.fixture
def named(file):
    """The study file, which the user has named."""
    name_study_files([file])
    return file


def triage(folder, file, **changes):
    """A study of that file."""
    return make_results(folder, primary_metric="triage_cost", study_file=str(file), **changes)


def of(folder):
    (study,) = load([folder]).studies
    return study


@pytest.mark.long
@pytest.mark.slow
def test_the_worked_example_is_the_primary_metric_of_its_report(file, tmp_path, capsys):
    folder, out = triage(tmp_path / "triage", file), tmp_path / "report"
    stronger = make_ledger({**ARMS, "weighted": 2.0, **CONTROLS})
    change_ledger(folder, lambda ledger: ledger.assign(**stronger))
    command = [str(folder), "--out", str(out), "--draws", "200"]
    assert main(command) == 2 and f"the study file {file} defines it: read that" in capsys.readouterr().err
    assert main([*command, "--study", str(file)]) == 0
    said = capsys.readouterr()
    assert "Triage cost (lower is better) [95 % CI]" in said.out and f"{file}: imported" in said.err
    assert hashlib.sha256(file.read_bytes()).hexdigest() in said.err
    rows = pd.read_csv(out / "tables/headline.csv").set_index("arm")
    ledger = of(folder).ledger.query("arm == 'weighted'")
    cost = [[0, 0.5, 1], [0.2, 0, 0.5], [0.4, 0.2, 0]]
    mean = sum(cost[y][z] for y, z in zip(ledger["y_true"], ledger["y_pred"], strict=True)) / len(ledger)
    assert rows["triage_cost_value"]["weighted"] == pytest.approx(mean)
    assert rows["difference"]["weighted"] < 0 and rows["verdict"]["weighted"] == "supported"
    page = (out / "index.html").read_text()
    assert "MSE + Weighted Contrastive Loss is better than MSE Loss: supported" in page
    assert "primary: Triage cost (lower is better)" in page
    assert set(pd.read_csv(out / "figures/forest.csv")["metric"]) == {"triage_cost"}
    assert "Triage cost" in (out / "tables/metrics.md").read_text()
    assert main(["--check", str(out)]) == 0
    file.write_text(EXAMPLE.replace("0.5", "0.6"))
    assert changed_sources(out) == [f"{file} has changed since the report in {out} was made"]


def test_a_metric_of_an_installed_package_is_the_primary_metric(tmp_path, monkeypatch):
    install(tmp_path, monkeypatch, "cost_pack", "triage_cost = cost_pack:TriageCost")
    study = of(make_results(tmp_path / "lus", primary_metric="triage_cost"))
    statistics = study_statistics(study, 100)
    assert statistics.comparison.tests["metric"].unique().tolist() == ["triage_cost"]


@pytest.mark.parametrize("known_by", ["the report", "a package"])
def test_nothing_is_loaded_whose_name_nobody_asks_for(tmp_path, monkeypatch, known_by):
    file = tmp_path / "own.py"
    file.write_text("raise SystemExit('the study file was imported')")
    install(tmp_path, monkeypatch, "cost_pack", "triage_cost = cost_pack:TriageCost")
    name = "triage_cost" if known_by == "a package" else "macro_f1"
    primary_metric(of(make_results(tmp_path / "lus", primary_metric=name, study_file=str(file))))
    assert ("cost_pack" in sys.modules) == (known_by == "a package")


def test_a_study_file_that_the_sweep_has_imported_is_not_imported_again(file, tmp_path):
    file.write_text(EXAMPLE + f"\nopen({str(tmp_path / 'times')!r}, 'a').write('once ')\n")
    study = load_study(str(file))
    primary_metric(of(triage(tmp_path / "triage", study.file)))
    assert (tmp_path / "times").read_text() == "once "


def test_no_study_file_is_imported_that_the_user_has_not_named_even_beside_the_results(file, tmp_path):
    folder = triage(tmp_path / "triage", tmp_path / "gone" / "triage.py")
    shutil.copy(file, folder)
    with pytest.raises(ReportError, match="name it with --study FILE"):
        primary_metric(of(folder))
    name_study_files([folder / "triage.py"])  # wherever it lay when the study was made
    assert primary_metric(of(folder)).label == "Triage cost"
    with pytest.raises(ReportError, match="no such file"):
        name_study_files([tmp_path / "gone" / "triage.py"])


@pytest.mark.parametrize(
    ("content", "said"),
    [("x = 1", "defines no report metric 'triage_cost'.*known: macro_f1"), ("1 / 0", "ZeroDivisionError")],
)
def test_a_study_file_without_the_metric_or_with_a_fault_is_named(named, tmp_path, content, said):
    named.write_text(content)
    with pytest.raises(ReportError, match=f"triage.py: .*{said}"):
        primary_metric(of(triage(tmp_path / "triage", named)))


def test_a_name_that_nobody_knows_is_told_with_those_that_are_known(tmp_path, monkeypatch):
    install(tmp_path, monkeypatch, "cost_pack", "triage_cost = cost_pack:TriageCost")
    for more in ({}, {"study_file": ""}):
        folder = make_results(tmp_path / f"lus{len(more)}", primary_metric="f1", **more)
        with pytest.raises(ReportError, match=r"'f1', which is none of macro_f1, .*triage_cost; nor is"):
            primary_metric(of(folder))
    assert "cost_pack" not in sys.modules


def test_studies_whose_files_give_one_name_to_two_metrics_are_each_reported_by_their_own(named, tmp_path):
    file, other = named, tmp_path / "other.py"
    other.write_text(EXAMPLE.replace('label = "Triage cost"', 'label = "Other cost"'))
    name_study_files([other])
    studies = load([triage(tmp_path / "a", file), triage(tmp_path / "b", other)]).studies
    assert [primary_metric(study).label for study in (*studies, studies[0])] == [
        "Triage cost", "Other cost", "Triage cost",
    ]  # fmt: skip


def test_the_forest_plot_names_every_primary_metric_it_shows(tmp_path):
    """Seen: the first study's metric stood below the differences of all."""
    folders = [make_results(tmp_path / name, primary_metric=name) for name in ("accuracy", "qwk")]
    drawing = forest([study_statistics(study, 100) for study in load(folders).studies])
    assert "difference of Accuracy / QWK with the reference" in drawing.svg


def test_a_changed_study_file_is_read_again(named, tmp_path):
    """As in a notebook, where one process makes a report twice."""
    folder = triage(tmp_path / "a", named)
    assert primary_metric(of(folder)).label == "Triage cost"
    named.write_text(EXAMPLE.replace('label = "Triage cost"', 'label = "Other cost"'))
    assert primary_metric(of(folder)).label == "Other cost"


def test_study_json_of_before_has_no_study_file_and_needs_none(tmp_path):
    folder = make_results(tmp_path / "lus")
    assert "study_file" not in json.loads((folder / "study.json").read_text())
    assert primary_metric(of(folder)).name == "macro_f1"

"""The command on whole and damaged results folders."""

import json
import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from frozen_results import change_study, frozen_results
from make_results import fail_runs, lose_runs, make_results

from analysis.report import logged_to_stderr, main
from analysis.results.load import load

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("results")
    return [make_results(root / "lus"), make_results(root / "mri", modality="mri", seed=3)]


@pytest.mark.parametrize(
    "command",
    [
        [str(ROOT / "analysis/report.py")],
        pytest.param(["-m", "analysis.report"], marks=pytest.mark.long),
    ],
)
def test_report_runs_as_script_and_as_module(folders, tmp_path, command):
    out = tmp_path / "report"
    done = subprocess.run(
        [sys.executable, *command, str(folders[0]), "--out", str(out), "--draws", "500"],
        cwd=ROOT if command[0] == "-m" else tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "MSE + Weighted Contrastive Loss" in done.stdout
    assert (out / "index.html").is_file()
    for name in ("headline.csv", "headline.md", "headline.tex"):
        assert (out / "tables" / name).stat().st_size > 0


def test_package_imports_neither_ray_nor_torch():
    code = "import analysis.report, sys; print({'ray', 'torch', 'learner_ray'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr


@pytest.mark.parametrize("options", [[], ["--share"]])
def test_no_mistake_waits_for_statistics_and_drawing(tmp_path, options):
    run = "import analysis.report, sys; analysis.report.main(sys.argv[1:])"
    code = f"{run}; print({{'scipy', 'matplotlib'}} & {{*sys.modules}})"
    command = [sys.executable, "-c", code, str(tmp_path / "none"), "--out", str(tmp_path / "out"), *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert "no such folder" in done.stderr and done.stdout.strip() == "set()"


def test_headline_holds_what_the_ledger_says(folders, tmp_path):
    assert main([*map(str, folders), "--out", str(tmp_path), "--draws", "500"]) == 0
    table = pd.read_csv(tmp_path / "tables/headline.csv")
    ledger = load(folders).studies[0].ledger
    row = table[(table["study"] == "lus") & (table["arm"] == "weighted")].iloc[0]
    rows = ledger[ledger["arm"] == "weighted"]
    assert row["accuracy_value"] == pytest.approx((rows["y_true"] == rows["y_pred"]).mean(), abs=1e-12)
    assert set(row["run_hashes"].split(";")) == set(rows["run_hash"])
    assert "worse/same/better" in (tmp_path / "tables/headline.md").read_text()


def test_no_file_of_a_report_names_the_path_of_a_scan(tmp_path, capsys):
    bad = "/data/m.csv, row 7: /data/Doe Jane/1.nii.gz cannot be read as NIfTI (truncated); repair it"
    study = make_results(tmp_path / "lus", left_out=[bad])
    fail_runs(study, "OSError: Input/output error: '/data/Doe Jane/2.png'", arm="mse", seed=0)
    assert main([str(study), "--out", str(tmp_path / "report"), "--draws", "500"]) == 0
    written = {path: path.read_bytes() for path in (tmp_path / "report").rglob("*") if path.is_file()}
    assert not [path for path, content in written.items() if b"Doe" in content]
    page = written[tmp_path / "report" / "index.html"].decode()
    assert (
        "row 7: cannot be read as NIfTI" in page and "OSError, whose words are in the results folder" in page
    )
    assert "Doe" not in capsys.readouterr().out


@pytest.mark.parametrize("make", ["missing", "foreign", "garbled", "twice"])
def test_what_is_not_a_study_exits_with_2_and_says_why(folders, tmp_path, capsys, make):
    target = tmp_path / "x"
    if make != "missing":
        target.mkdir()
    if make == "garbled":
        (target / "study.json").write_text("{")
    given = [folders[0], folders[0]] if make == "twice" else [target]
    assert main([*map(str, given), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert str(given[0]) in error and "Traceback" not in error
    assert not (tmp_path / "out").exists()


@pytest.mark.long
@pytest.mark.parametrize(
    "damage",
    ["no ledger", "empty ledger", "corrupt ledger"],
)
def test_a_study_without_ledger_gives_what_can_be_given(folders, tmp_path, capsys, damage):
    broken = make_results(tmp_path / "mri", modality="mri")
    path = broken / "ledger.parquet"
    if damage == "no ledger":
        path.unlink()
    elif damage == "empty ledger":
        pd.read_parquet(path).iloc[:0].to_parquet(path)
    else:
        path.write_bytes(path.read_bytes()[:500])
    assert main([str(folders[0]), str(broken), "--out", str(tmp_path / "out"), "--draws", "500"]) == 2
    got = capsys.readouterr()
    assert "ledger.parquet" in got.err and "Traceback" not in got.err
    assert "LUS (60 patients" in got.out
    assert "ledger.parquet" in (tmp_path / "out/tables/headline.md").read_text()


@pytest.mark.long
def test_an_arm_without_a_run_is_shown_as_missing_and_nobody_has_a_verdict(tmp_path):
    folder = make_results(tmp_path / "lus")
    lose_runs(folder, arm="contrastive")
    main([str(folder), "--out", str(tmp_path / "out"), "--draws", "500"])
    assert "| MSE + Contrastive Loss ‡ | missing |" in (tmp_path / "out/tables/headline.md").read_text()
    row = pd.read_csv(tmp_path / "out/tables/headline.csv").set_index("arm").loc["weighted"]
    assert row["verdict"] == "no verdict" and row["macro_f1_value"] > 0


@pytest.mark.long
@pytest.mark.parametrize(
    "kept",
    ["one seed", "never worse", "one fold"],
)
def test_small_studies_are_reported(tmp_path, kept):
    folder = make_results(tmp_path / "lus")
    path = folder / "ledger.parquet"
    ledger = pd.read_parquet(path)
    if kept == "one fold":
        ledger = ledger[ledger["fold"] == 0]
    elif kept == "one seed":
        ledger = ledger[ledger["seed"] == 0]
    else:
        ledger["p_worse"], ledger["y_pred"] = 0.0, ledger["y_pred"].clip(lower=1)
    ledger.to_parquet(path)
    info = json.loads((folder / "study.json").read_text())
    info |= {"folds": int(ledger["fold"].nunique()), "seeds": int(ledger["seed"].nunique())}
    (folder / "study.json").write_text(json.dumps(info))
    assert main([str(folder), "--out", str(tmp_path / "out"), "--draws", "500"]) == 0
    row = pd.read_csv(tmp_path / "out/tables/headline.csv").set_index("arm").loc["weighted"]
    assert np.isfinite(row["macro_f1_value"])
    if kept == "one fold":
        assert row["verdict"] == "not tested"


def test_cautions_reach_every_table_and_the_page(tmp_path):
    folder = make_results(tmp_path / "lus", protocol="development-split")
    info = json.loads((folder / "study.json").read_text())
    info["cohort"] |= {"phantom": True, "temporal": False}
    (folder / "study.json").write_text(json.dumps(info))
    main([str(folder), "--out", str(tmp_path / "out"), "--draws", "500"])
    texts = [*(tmp_path / "out/tables").glob("*.md"), *(tmp_path / "out/tables").glob("*.tex")]
    for path in [*texts, tmp_path / "out/index.html"]:
        for caution in ("phantom", "not temporal", "not nested"):
            assert caution in path.read_text(), (path, caution)


def test_what_the_package_logs_is_shown_on_standard_error_while_the_command_runs(capsys):
    log = logging.getLogger("analysis.figures.importance")
    with logged_to_stderr():
        log.info("arm 1 / 4")
    log.info("arm 2 / 4")
    assert capsys.readouterr().err == "arm 1 / 4\n"


def test_a_report_that_is_refused_is_no_look(tmp_path, capsys):
    """Seen: the look was recorded, and then the folder of the report could not be written."""
    folder, other = frozen_results(tmp_path / "A" / "lus"), frozen_results(tmp_path / "B" / "lus")
    change_study(other, primary_metric="none_such")
    (tmp_path / "file").touch()
    assert main([str(folder), "--out", str(tmp_path / "file" / "report"), "--draws", "100"]) == 2
    assert "cannot be written" in capsys.readouterr().err
    assert main([str(folder), str(other), "--out", str(tmp_path / "report"), "--draws", "100"]) == 2
    assert "none_such" in capsys.readouterr().err
    assert not (folder / "looks").exists()

"""Every word, rank, axis and margin of a report follows the direction and the unit of the primary metric."""

import json

import numpy as np
import pandas as pd
import pytest
from make_results import change_ledger, make_results

from analysis.figures.final_runs import forest
from analysis.page.page import Report, html
from analysis.page.sentences import verdict_sentences
from analysis.page.validity import checks
from analysis.results.load import load
from analysis.statistics.metrics import METRICS
from analysis.statistics.study_statistics import study_statistics
from analysis.tables import main_table as tables
from analysis.tables.across_studies import across_studies, tuned_and_fixed
from analysis.tables.main_table import all_metrics, main_table
from analysis.tables.render import latex, plain

RIGHT = {"mse": 0.85, "contrastive": 0.2, "weighted": 0.85, "majority": 0.6}
"""How often each arm is right: contrastive is far worse than the reference, and than the control."""


def known_worse(folder, metric):
    """A study whose arm ``contrastive`` is worse in every class by far, whatever is measured."""

    def predicted(ledger):
        rng = np.random.default_rng(0)
        right = rng.random(len(ledger)) < ledger["arm"].map(RIGHT)
        wrong = (ledger["y_true"] + np.where(rng.random(len(ledger)) < 0.5, 1, 2)) % 3
        return ledger.assign(y_pred=np.where(right, ledger["y_true"], wrong))

    make_results(folder, primary_metric=metric)
    info = json.loads((folder / "study.json").read_text())
    (control,) = (arm for arm in info["arms"] if arm["control"])
    control["edits"] = {"progression.input": "earlier_score"}
    (folder / "study.json").write_text(json.dumps(info))
    change_ledger(folder, predicted)
    return folder


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(n, marks=() if n in ("macro_f1", "class_mae") else pytest.mark.long)
        for n in METRICS.built_in
    ],
)
def test_a_worse_arm_is_called_worse_by_everything_that_is_printed(tmp_path, name):
    """Seen: class MAE, "65 % better" of an arm that made more mistakes; ±0.02 whatever the unit."""
    folders = [known_worse(tmp_path / which, name) for which in ("tuned", "fixed")]
    (folders[1] / "trials.parquet").unlink()
    both = [study_statistics(study, 200) for study in load(folders).studies]
    item, metric = both[0], METRICS[name]
    rows = main_table(both[:1]).data.set_index("arm")
    assert metric.word(rows.loc["contrastive", "difference"]) == "worse"
    assert metric.sign * rows.loc["contrastive", "difference"] < 0

    (sentence,) = (s for s in verdict_sentences(item) if "MSE + Contrastive Loss" in s)
    assert "is worse than MSE Loss: supported" in sentence and metric.heading in sentence
    assert f"within {metric.margin_text} / better: 100 % / 0 % / 0 %" in sentence

    cells = main_table(both[:1]).panels[0][1].loc["MSE + Contrastive Loss"]
    assert cells["Verdict"] == "supported: worse" and ", supported: worse" in forest(both[:1]).spoken

    tests = item.comparison.tests.set_index("arm").loc["contrastive"]
    assert tests["rope_worse"] > 0.9 > 0.1 > tests["rope_better"]
    panel = tables.test_details(both[:1]).panels[0][1]
    assert panel.loc["MSE + Contrastive Loss", "Verdict"] == "supported: worse"
    said = " ".join(tables.test_details(both[:1]).notes)
    assert metric.margin_text in said

    drawing = forest(both[:1])
    assert ("better: right" if metric.higher_is_better else "better: left") in drawing.svg
    assert metric.margin_text in drawing.description

    for table in (main_table(both[:1]), all_metrics(both[:1])):
        for text in (plain(table), latex(table)):
            assert ("(lower is better)" in text) == (table.name == "metrics" or not metric.higher_is_better)
    panel = across_studies(both).panels[0][1]
    assert panel.loc["MSE + Contrastive Loss", "Direction"] == "worse in all 2"
    ranked = tuned_and_fixed(both).data.set_index("arm")
    assert ranked.loc["contrastive", "tuned_rank"] == ranked["tuned_rank"].max() == 3

    status = {check.name: check.status for check in checks(item)}
    assert status["Earlier score alone"] == "green", "MSE beats it, and the worse arm is not the best"
    assert metric.margin_text in html(Report(statistics=both[:1], tables=[main_table(both[:1])], drawings=[]))


def test_studies_whose_metrics_point_opposite_ways_agree_where_the_same_arm_is_worse(tmp_path):
    """Seen: *differs*, since a worse arm has a higher error and a lower accuracy."""
    folders = [known_worse(tmp_path / name, name) for name in ("accuracy", "class_mae")]
    both = [study_statistics(study, 200) for study in load(folders).studies]
    table = across_studies(both)
    assert table.panels[0][1].loc["MSE + Contrastive Loss", "Direction"] == "worse in all 2"
    (axis,) = forest(both).figure.axes[-1:]
    assert "better: right, of LUS class_mae left" in axis.get_xlabel()
    text = latex(main_table(both))
    assert "{Accuracy" in text and "{Class MAE (lower is better)" in text, "each panel has its own heading"


def test_every_built_in_metric_states_its_margin_in_its_own_unit():
    margins = {name: metric.margin for name, metric in METRICS.built_in.items()}
    assert all(margins.values()) and margins["class_mae"] == 2 * margins["accuracy"]
    assert pd.Series(margins).between(0.005, 0.05).all()

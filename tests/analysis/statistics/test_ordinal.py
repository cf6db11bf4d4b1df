"""The proportional-odds model against statsmodels, and where it has no answer."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from make_results import make_ledger

from analysis.statistics.ordinal import odds_ratio, ordinal_by_arm


def drawn(n: int = 300, effect: float = 0.8) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 2)) * [1, 20]
    shared = np.repeat(rng.normal(size=n // 3), 3)
    y = np.digitize(effect * x[:, 0] - 0.02 * x[:, 1] + shared + rng.logistic(size=n), [-0.8, 0.9])
    return y.astype(np.int64), x, np.repeat(np.arange(n // 3), 3)


@pytest.mark.parametrize("classes", [2, 3])
def test_estimate_and_interval_are_those_of_statsmodels(classes: int) -> None:
    from statsmodels.miscmodels.ordinal_model import OrderedModel

    y, x, clusters = drawn()
    y = np.minimum(y, classes - 1)
    scaled = (x - x.mean(0)) / x.std(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = OrderedModel(y, scaled, distr="logit").fit(
            method="bfgs", disp=0, cov_type="cluster", cov_kwds={"groups": clusters}
        )
    found = odds_ratio(y, x, clusters)
    assert found.value == pytest.approx(np.exp(fit.params[0]), rel=1e-4)
    # A t of 99 degrees of freedom, and statsmodels' own small-sample factor for the coefficients.
    expected = np.exp(fit.params[0] - 1.9842 * fit.bse[0])
    assert found.low == pytest.approx(expected, rel=0.01)


def test_an_effect_beside_the_other_predictor_is_covered_and_none_is_not_found() -> None:
    y, x, clusters = drawn(effect=0.0)
    found = odds_ratio(y, x, clusters)
    assert found.low < 1 < found.high


@pytest.mark.parametrize("kind", ["constant", "separated", "few"])
def test_where_there_is_no_estimate_there_is_no_number(kind: str) -> None:
    y, x, clusters = drawn()
    if kind == "constant":
        x = x * [0, 1]
    elif kind == "separated":
        x = np.stack([y.astype(float), x[:, 1]], axis=1)
    else:
        clusters = clusters % 2
    assert np.isnan(odds_ratio(y, x, clusters).value)


def test_each_arm_has_its_ratio_alone_and_beside_the_earlier_score() -> None:
    ledger = make_ledger({"mse": 0.0, "better": 1.5, "majority": -9.0})
    table = ordinal_by_arm(ledger).set_index("arm")
    assert 1 < table.loc["mse", "odds_ratio"] < table.loc["better", "odds_ratio"]
    assert np.isfinite(table.loc[["mse", "better"], ["adjusted", "adjusted_low", "adjusted_high"]]).all(
        axis=None
    )
    assert np.isnan(table.loc["majority", "odds_ratio"]), "the majority class predicts the same of all"
    assert table.loc["mse", "pairs"] == ledger["pair"].nunique()


def test_a_ledger_without_the_earlier_score_has_no_adjusted_ratio() -> None:
    table = ordinal_by_arm(make_ledger({"mse": 0.0}).drop(columns="score_earlier"))
    assert np.isfinite(table["odds_ratio"]).all() and table["adjusted"].isna().all()
    assert isinstance(table, pd.DataFrame)

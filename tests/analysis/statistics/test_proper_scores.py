"""Proper scores against scikit-learn."""

import numpy as np
import pytest
from make_results import make_ledger
from sklearn.metrics import log_loss

from analysis.statistics.proper_scores import proper_scores


def test_proper_scores_equal_scikit_learn():
    ledger = make_ledger({"mse": 0}, seeds=1)
    got = proper_scores(ledger).set_index("metric")["value"]
    p = ledger[["p_worse", "p_same", "p_better"]].to_numpy()
    assert got["nll"] == pytest.approx(log_loss(ledger["y_true"], p, labels=[0, 1, 2]), rel=1e-9)
    assert got["brier"] == pytest.approx(((p - np.eye(3)[ledger["y_true"]]) ** 2).sum(1).mean())

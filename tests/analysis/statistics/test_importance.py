"""Importance of hyperparameters, where the one that matters is planted."""

from make_results import make_trials

from analysis.statistics.importance import FEWEST_TRIALS, parameter_importance


def test_importance_finds_the_parameter_that_matters_and_refuses_few_trials():
    trials = make_trials({"mse": 0}, folds=1, trials=120)
    complete = trials[trials["state"] == "complete"]
    assert parameter_importance(complete.iloc[: FEWEST_TRIALS - 1]).empty
    found = parameter_importance(complete).set_index(["method", "parameter"])["value"]
    for method in ("fANOVA", "PED-ANOVA"):
        assert found[method, "train.lr"] > found[method, "loss.margin"]

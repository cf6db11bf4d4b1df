"""What holds for every selection metric, and how a user's own is chosen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learner_ray.core.components import SELECTION_METRICS
from learner_ray.core.config import Config
from learner_ray.core.errors import UserError
from learner_ray.run.spec import Source
from learner_ray.run.user_code import with_code
from learner_ray.training.metrics import progression_metrics
from learner_ray.training.selection_metrics import SelectionMetric, selection_metric

KEY = "progression.selection_metric"
every_metric = pytest.mark.parametrize("name", SELECTION_METRICS.built_in)
classes = st.lists(st.integers(0, 2), min_size=1, max_size=12).map(lambda values: np.array(values))


def predicted(decided: Any, *, sure: float = 0.8) -> Any:
    """Probabilities (N, 3) that favour the classes decided on."""
    return np.full((len(decided), 3), (1 - sure) / 2) + (sure - (1 - sure) / 2) * np.eye(3)[decided]


@every_metric
@settings(max_examples=25)
@given(y=classes, seed=st.integers(0, 99))
def test_higher_is_better_and_what_is_not_defined_is_nan(name: str, y: Any, seed: int) -> None:
    metric, other = selection_metric(name), np.random.default_rng(seed).integers(0, 3, len(y))
    best = metric.compute(y, predicted(y), y)
    value = metric.compute(y, predicted(other), other)
    assert np.isnan(best) or best >= value or np.isnan(value)
    assert isinstance(value, float)


@every_metric
@settings(max_examples=25)
@given(y=classes, seed=st.integers(0, 99))
def test_the_score_is_what_the_run_s_own_metrics_say(name: str, y: Any, seed: int) -> None:
    decided = np.random.default_rng(seed).integers(0, 3, len(y))
    metric, expected = selection_metric(name), progression_metrics(y, predicted(decided), decided)[name]
    score = metric.compute(y, predicted(decided), decided)
    assert repr(score) == repr(-expected if name == "log_loss" else expected)
    assert metric.shown(score) == f"{name.replace('_', ' ')} {expected:.3f}" and metric.label


def test_an_unknown_name_lists_the_known_ones_and_loads_none() -> None:
    with pytest.raises(
        UserError, match=f"{KEY} is 'f1'; known: balanced_accuracy, kappa, log_loss, macro_f1"
    ):
        Config().with_values({KEY: "f1"})


def test_a_user_s_own_is_found_by_name_and_its_source_is_part_of_a_run_s_identity() -> None:
    class Worsening(SelectionMetric):
        name = "worsening"
        label = "share of worsening found"

        def compute(self, y: Any, probabilities: Any, decided: Any) -> float:
            return float(np.mean(decided[y == 0] == 0)) if (y == 0).any() else float("nan")

    try:
        config = Config().with_values({KEY: "worsening"})
        assert selection_metric("worsening").compute(np.array([0, 0, 1]), None, np.array([0, 1, 1])) == 0.5
        source = with_code(Source(path="phantom:lus"), config, "/study.py")
        assert [kind for kind, _ in source.components] == ["selection_metric"]
        assert source.study_file == "/study.py"
        assert with_code(Source(path="phantom:lus"), Config(), "/study.py").components == ()
        written = config.to_dict()
    finally:
        SELECTION_METRICS._added.clear()
    # Read where the study file has not been read: kept, and refused once it must be known.
    assert Config.from_dict(written).progression.selection_metric == "worsening"
    with pytest.raises(UserError, match="'worsening'; known"):
        Config.from_dict(written).resolved()

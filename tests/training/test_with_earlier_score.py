"""An arm combined with the earlier score: what is worthless is left out, and what is not is heard."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from learner_ray.core.config import ProgressionConfig
from learner_ray.training.progression import Embedded, Progression
from learner_ray.training.with_earlier_score import WithEarlierScore, can_add

Study = tuple[pd.DataFrame, pd.DataFrame, Embedded]
NOTHING = Embedded({}, {})


def study(seen: float, patients: int = 80, dim: int = 64, seed: int = 0) -> Study:
    """Two visits of each patient, whose scores have a common level and a part of their own: a high one falls,
    so the earlier score alone predicts the change, and the first coordinate of the embedding shows the score
    with noise, ``seen`` times as large."""
    rng = np.random.default_rng(seed)
    level, own = rng.normal(size=patients), rng.normal(size=(patients, 2))
    scores = level[:, None] + own
    change = scores[:, 1] - scores[:, 0]
    names = np.array([f"p{p}" for p in range(patients)])
    pairs = pd.DataFrame(
        {
            "patient": names, "earlier": "1", "later": "2", "score_earlier": scores[:, 0],
            "y": np.digitize(change, [-0.6, 0.6]), "interval_days": 1.0, "site": "", "device": "",
        }
    )  # fmt: skip
    scans = pd.DataFrame(
        [(f"{name}-{visit}", name, visit, "") for name in names for visit in "12"],
        columns=["scan", "patient", "visit", "view"],
    )
    shown = np.concatenate([(seen * scores).reshape(-1, 1), np.zeros((2 * patients, dim - 1))], axis=1)
    noisy = shown + rng.normal(size=shown.shape)
    return pairs, scans, Embedded(dict(zip(scans["scan"], noisy, strict=True)), {})


def fit(of: Study, seed: int = 0, **config: object) -> WithEarlierScore:
    pairs, scans, embedded = of
    own = Progression.fit(replace(ProgressionConfig(), **config), pairs, scans, embedded, seed)  # type: ignore[arg-type]
    return WithEarlierScore.fit(own, pairs, pairs, scans, embedded, seed)


def accuracy(model: WithEarlierScore | Progression, of: Study, embedded: Embedded | None = None) -> float:
    pairs, scans, seen = of
    decided = model.decide(model.predict(pairs, scans, seen if embedded is None else embedded))
    return float((decided == pairs["y"]).mean())


def test_what_the_encoder_shows_is_added_to_a_score_that_says_something_too() -> None:
    test = study(seen=1.0, patients=2000, seed=1)
    both = fit(study(seen=1.0, patients=200))
    own, alone = accuracy(both.own, test), accuracy(both.score, test, NOTHING)
    assert min(both.weights) > 0.3
    assert accuracy(both, test) > max(own, alone) + 0.02


def test_the_score_is_not_drowned_by_hundreds_of_worthless_dimensions() -> None:
    test = study(seen=0.0, patients=300, dim=512, seed=1)
    both = fit(study(seen=0.0, dim=512))
    assert both.weights[1] < 0.3
    assert accuracy(both, test) > accuracy(both.score, test, NOTHING) - 0.02


def test_a_weight_of_zero_gives_the_decisions_of_the_earlier_score_alone() -> None:
    of = study(seen=1.0)
    both = replace(fit(of), weights=(0.7, 0.0))
    alone = both.score.decide(both.score.predict(of[0], of[1], NOTHING))
    assert (both.decide(both.predict(*of)) == alone).all()


def test_labels_that_were_permuted_add_nothing() -> None:
    both = fit(study(seen=2.0), shuffle_labels=True)
    assert both.weights[1] < 0.3 and both.weights[0] > 0.3


def test_the_score_is_fitted_on_all_training_patients_and_the_arm_on_its_own() -> None:
    pairs, scans, embedded = study(seen=1.0)
    held_out = pairs[pairs["patient"].isin([f"p{i}" for i in range(20)])].reset_index(drop=True)
    seen = {
        scan: e for scan, e in embedded.embeddings.items() if scan.split("-")[0] in set(held_out["patient"])
    }
    own = Progression.fit(ProgressionConfig(), held_out, scans, Embedded(seen, {}), 0)
    both = WithEarlierScore.fit(own, held_out, pairs, scans, Embedded(seen, {}), 0)
    control = Progression.fit(ProgressionConfig(input="earlier_score"), pairs, scans, NOTHING, 0)
    assert both.score.state()["fitted"] == control.state()["fitted"], "the control itself"


def test_the_same_fit_gives_the_same_weights_whatever_came_before() -> None:
    of = study(seen=1.0)
    assert fit(of).weights == fit(of).weights
    assert fit(of, seed=1).weights != fit(of).weights, "other inner folds"


def test_of_one_patient_there_is_nothing_to_learn_but_the_control() -> None:
    pairs, scans, embedded = study(seen=1.0)
    one = pairs[pairs["patient"] == "p0"].reset_index(drop=True)
    own = Progression.fit(ProgressionConfig(), one, scans, embedded, 0)
    assert WithEarlierScore.fit(own, one, one, scans, embedded, 0).weights == (1.0, 0.0)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (ProgressionConfig(), True),
        (ProgressionConfig(input="metadata"), True),
        (ProgressionConfig(input="earlier_score"), False),
        (ProgressionConfig(input="nothing"), False),
        (ProgressionConfig(finetune_epochs=1), False),
    ],
)
def test_what_cannot_add_is_not_combined(config: ProgressionConfig, expected: bool) -> None:
    assert can_add(config) == expected

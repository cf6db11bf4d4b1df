"""Worse / same / better is read off two visits alone, whatever the clips behind them."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import approx_fprime

from learner_ray.core.config import ProgressionConfig
from learner_ray.training.classifiers import OrdinalClassifier
from learner_ray.training.progression import Embedded, Progression, clip_pairs

RNG = np.random.default_rng(0)


def cohort(patients: int = 60, clips: int = 1, dim: int = 8) -> tuple[pd.DataFrame, pd.DataFrame, Embedded]:
    """Two visits per patient; the first coordinate of the embedding is the score."""
    pairs, scans, embeddings, predictions = [], [], {}, {}
    for p in range(patients):
        scores = RNG.normal(size=2)
        change = scores[1] - scores[0]
        y = 0 if change < -0.5 else 2 if change > 0.5 else 1
        pairs.append((f"p{p}", "1", "2", scores[0], scores[1], y))
        for visit, score in zip("12", scores, strict=True):
            for c in range(clips):
                scan = f"p{p}-{visit}-{c}"
                scans.append((scan, f"p{p}", visit, f"view{c}"))
                embeddings[scan] = np.r_[3 * score, RNG.normal(size=dim - 1)]
                predictions[scan] = float(score)
    columns = ["patient", "earlier", "later", "score_earlier", "score_later", "y"]
    frame = pd.DataFrame(pairs, columns=columns).assign(interval_days=1.0, site="", device="")
    return (
        frame,
        pd.DataFrame(scans, columns=["scan", "patient", "visit", "view"]),
        Embedded(embeddings, predictions),
    )


@pytest.mark.parametrize("head", ["logistic", "ordinal", "mlp"])
@pytest.mark.parametrize("input_", ["difference", "both", "score_difference"])
def test_a_planted_change_is_read_off(head: str, input_: str) -> None:
    config = ProgressionConfig(head=head, input=input_)  # type: ignore[arg-type]
    pairs, scans, embedded = cohort()
    fitted = Progression.fit(config, pairs, scans, embedded, seed=0)
    test_pairs, test_scans, test_embedded = cohort(200)
    decided = fitted.decide(fitted.predict(test_pairs, test_scans, test_embedded))
    assert (decided == test_pairs["y"]).mean() > 0.6


@pytest.mark.parametrize("input_", ["nothing", "earlier_score", "metadata"])
def test_a_control_needs_no_encoder(input_: str) -> None:
    pairs, scans, _ = cohort()
    config = ProgressionConfig(input=input_, decision="argmax")  # type: ignore[arg-type]
    fitted = Progression.fit(config, pairs, scans, Embedded({}, {}), seed=0)
    assert fitted.predict(pairs, scans, Embedded({}, {})).shape == (60, 3)


def test_the_majority_control_always_says_the_majority() -> None:
    pairs, scans, _ = cohort()
    fitted = Progression.fit(
        ProgressionConfig(input="nothing", decision="argmax"), pairs, scans, Embedded({}, {}), seed=0
    )
    decided = fitted.decide(fitted.predict(pairs, scans, Embedded({}, {})))
    assert set(decided) == {pairs["y"].mode()[0]}


@pytest.mark.parametrize("head", ["logistic", "ordinal"])
def test_a_pair_of_many_clips_counts_like_one(head: str) -> None:
    """The same embedding twice per visit changes no probability."""
    pairs, scans, embedded = cohort()
    twice = pd.concat([scans, scans.assign(scan=scans["scan"] + "+")])
    doubled = Embedded(
        {**embedded.embeddings, **{s + "+": e for s, e in embedded.embeddings.items()}},
        {**embedded.predictions, **{s + "+": p for s, p in embedded.predictions.items()}},
    )
    config = ProgressionConfig(head=head)  # type: ignore[arg-type]
    once = Progression.fit(config, pairs, scans, embedded, seed=0).predict(pairs, scans, embedded)
    again = Progression.fit(config, pairs, twice, doubled, seed=0).predict(pairs, twice, doubled)
    np.testing.assert_allclose(once, again, atol=2e-3)


def test_clips_of_one_view_meet_each_other_only() -> None:
    pairs, scans, _ = cohort(patients=3, clips=2)
    clips = clip_pairs(pairs, scans)
    assert len(clips) == 3 * 2
    assert all(a[-1] == b[-1] for a, b in zip(clips["earlier"], clips["later"], strict=True))
    unnamed = clip_pairs(pairs, scans.assign(view=""))
    assert len(unnamed) == 3 * 4


def test_swapping_the_visits_swaps_worse_and_better() -> None:
    x = RNG.normal(size=(50, 5))
    y = RNG.integers(0, 3, 50)
    fitted = OrdinalClassifier.fit([x], y, np.ones(50), 1.0)
    np.testing.assert_allclose(fitted.predict([-x], 50), fitted.predict([x], 50)[:, ::-1], atol=1e-12)


def test_the_ordinal_gradient_is_that_of_its_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {}

    def keep(loss, start, **kwargs):
        seen["loss"] = loss
        return type("Result", (), {"x": start})

    monkeypatch.setattr("learner_ray.training.classifiers.minimize", keep)
    x, y = RNG.normal(size=(40, 4)), RNG.integers(0, 3, 40)
    OrdinalClassifier.fit([x], y, np.ones(40), 1.0)
    at = RNG.normal(size=5) * 0.3
    numeric = approx_fprime(at, lambda p: seen["loss"](p)[0], 1e-7)
    np.testing.assert_allclose(seen["loss"](at)[1], numeric, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("head", ["logistic", "ordinal", "mlp"])
@pytest.mark.parametrize("classes", [{0, 1, 2}, {0, 2}, {1}])
def test_a_fit_survives_json_bit_for_bit(head: str, classes: set[int]) -> None:
    pairs, scans, embedded = cohort()
    some = pairs[pairs["y"].isin(classes)].reset_index(drop=True)
    config = ProgressionConfig(head=head)  # type: ignore[arg-type]
    fitted = Progression.fit(config, some, scans, embedded, seed=0)
    restored = Progression.restore(json.loads(json.dumps(fitted.state())))
    assert (restored.predict(pairs, scans, embedded) == fitted.predict(pairs, scans, embedded)).all()


def test_a_site_that_the_fit_lacks_is_none_of_its_sites() -> None:
    pairs, scans, _ = cohort()
    nothing = Embedded({}, {})
    fitted = Progression.fit(
        ProgressionConfig(input="metadata"), pairs.assign(site=["a", "b"] * 30), scans, nothing, seed=0
    )
    other = fitted.predict(pairs.assign(site=["b", "c", "d"] * 20), scans, nothing)
    assert (other[1] == other[2]).all() and (other[0] != other[1]).any()


def test_a_class_that_the_fit_lacks_keeps_a_probability() -> None:
    pairs, scans, embedded = cohort()
    some = pairs[pairs["y"] != 2].reset_index(drop=True)
    fitted = Progression.fit(ProgressionConfig(), some, scans, embedded, seed=0)
    probabilities = fitted.predict(pairs, scans, embedded)
    assert np.isfinite(np.log(probabilities)).all()
    np.testing.assert_allclose(probabilities.sum(1), 1)


def test_one_class_alone_gives_its_prior() -> None:
    pairs, scans, embedded = cohort()
    some = pairs[pairs["y"] == 1].reset_index(drop=True)
    probabilities = Progression.fit(ProgressionConfig(), some, scans, embedded, seed=0).predict(
        pairs, scans, embedded
    )
    assert (probabilities == probabilities[0]).all()

"""Metrics of the representation: each says what was planted, and nothing where nothing was."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from learner_ray.training.representation import EmbeddedScans, collapse, representation_metrics

WIDTH = 64
RNG = np.random.default_rng


def scans(embeddings: np.ndarray, scores: np.ndarray, visits: int = 3, clips: int = 2) -> EmbeddedScans:
    """Scans in the order patient, visit, clip."""
    n = np.arange(len(scores))
    return EmbeddedScans(
        embeddings=torch.from_numpy(embeddings).double(),
        scores=scores,
        patients=n // (visits * clips),
        visits=(n // clips % visits).astype(float),
    )


def visit_scores(rng: np.random.Generator, patients: int, visits: int = 3, clips: int = 2) -> np.ndarray:
    return np.repeat(rng.standard_normal(patients * visits), clips)


def cohort(rng: np.random.Generator, *, score: float, patient: float, patients: int = 16) -> EmbeddedScans:
    """Embeddings around a far mean, with the score along one direction and patients along others."""
    y = visit_scores(rng, patients)
    directions = RNG(1).standard_normal((2, WIDTH))
    own = np.repeat(rng.standard_normal((patients, WIDTH)), len(y) // patients, axis=0)
    noise = rng.standard_normal((len(y), WIDTH))
    embeddings = 40 * directions[0] + score * y[:, None] * directions[1] + patient * own + noise
    return scans(embeddings, y)


def metrics(rng: np.random.Generator, **planted: float) -> dict[str, float]:
    found = representation_metrics(cohort(rng, **planted), cohort(rng, **planted))
    return {name.removeprefix("representation/"): value for name, value in found.items()}


def test_a_planted_score_is_found_by_distances_and_probes() -> None:
    found = metrics(RNG(0), score=4.0, patient=0.0)
    for name in ("distance_between", "distance_within", "score_probe", "change_probe"):
        assert found[name] > 0.7, name
    assert found["alignment"] < 1
    assert found["collapsed"] == 0


def test_patients_alone_ring_the_shortcut_alarm_and_no_other() -> None:
    found = metrics(RNG(0), score=0.0, patient=4.0)
    assert found["neighbour_same_patient"] > 0.95
    assert found["neighbour_chance"] == pytest.approx(4 / 94)
    assert abs(found["score_probe"]) < 0.4 and abs(found["distance_between"]) < 0.4
    assert found["alignment"] == pytest.approx(2, abs=0.3)


def test_noise_finds_nothing_on_average() -> None:
    """Also the probes: leaving patients out one by one would bend them below zero."""
    found = pd.DataFrame([metrics(RNG(seed), score=0.0, patient=0.0) for seed in range(40)])
    for name in ("distance_between", "distance_within", "score_probe", "change_probe"):
        standard_error = found[name].std() / np.sqrt(len(found))
        assert abs(found[name].mean()) < 4 * standard_error, name
    assert found["neighbour_same_patient"].mean() == pytest.approx(found["neighbour_chance"].mean(), abs=0.02)


@pytest.mark.parametrize("kind", ["equal with noise", "one direction", "zero"])
@pytest.mark.parametrize("n", [12, 60, 600])
def test_the_alarm_fires_on_a_planted_collapse(kind: str, n: int) -> None:
    rng = RNG(0)
    mean, noise = rng.uniform(0, 1, 512), rng.standard_normal((n, 512))
    collapsed = {
        "equal with noise": mean + 1e-5 * noise,
        "one direction": mean + rng.standard_normal((n, 1)) * rng.standard_normal(512) + 1e-4 * noise,
        "zero": np.zeros((n, 512)),
    }[kind]
    assert collapse(torch.from_numpy(collapsed))["collapsed"] == 1


def test_the_alarm_is_silent_on_a_healthy_encoder_whose_features_are_almost_parallel() -> None:
    """The shape of ResNet features after good training: mean cosine 0.99, a spectrum that falls as 1/k."""
    rng = RNG(0)
    spectrum = 1 / np.arange(1, 513)
    x = 30 * rng.uniform(0.5, 1, 512) + 30 * rng.standard_normal((60, 512)) * spectrum
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    assert (unit @ unit.T).mean() > 0.98
    assert collapse(torch.from_numpy(x))["collapsed"] == 0


@given(st.integers(3, 30), st.integers(2, 40), st.integers(0, 10**6))
def test_rankme_is_that_of_the_singular_values(n: int, d: int, seed: int) -> None:
    x = RNG(seed).standard_normal((n, d))
    singular = np.linalg.svd(x - x.mean(0), compute_uv=False)
    p = singular[: min(n - 1, d)] / singular.sum()
    found = collapse(torch.from_numpy(x))
    assert found["rankme"] == pytest.approx(np.exp(-(p * np.log(p)).sum()), rel=1e-5)
    assert 0 <= found["rank_share"] <= 1 + 1e-5


@given(st.integers(0, 10**6))
def test_neither_order_of_scans_nor_rotation_nor_scale_matters(seed: int) -> None:
    rng = RNG(seed)
    a, b = cohort(rng, score=1.0, patient=1.0, patients=6), cohort(rng, score=1.0, patient=1.0, patients=6)
    order = rng.permutation(len(a.scores))
    rotation = torch.from_numpy(np.linalg.qr(rng.standard_normal((WIDTH, WIDTH)))[0])
    moved = [
        EmbeddedScans(3 * s.embeddings[o] @ rotation, s.scores[o], s.patients[o], s.visits[o])
        for s, o in ((a, order), (b, order))
    ]
    assert representation_metrics(*moved) == pytest.approx(representation_metrics(a, b), abs=0.02)


def test_little_or_nothing_to_look_at_gives_no_number_and_no_error() -> None:
    for n in (0, 1, 2):
        few = scans(RNG(0).standard_normal((n, WIDTH)), np.arange(n, dtype=float))
        assert np.isnan(representation_metrics(few, few)["representation/score_probe"])
    one_visit = scans(RNG(0).standard_normal((10, WIDTH)), np.arange(10.0), visits=1, clips=1)
    found = representation_metrics(one_visit, one_visit)
    assert np.isnan(found["representation/change_probe"])
    assert np.isnan(found["representation/neighbour_same_patient"])
    assert np.isfinite(found["representation/score_probe"])


def test_the_random_streams_are_left_alone() -> None:
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    metrics(RNG(0), score=1.0, patient=1.0)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)

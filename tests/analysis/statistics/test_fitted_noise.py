"""Noise fitted to a study is the noise that the study was simulated with."""

import numpy as np
import pytest

from analysis.statistics.fitted_noise import fitted_noise
from analysis.statistics.simulated_studies import DEFAULT_NOISE, HEAVY_NOISE, Arms, Design, simulated_ledger

DESIGN = Design(patients=100, seeds=4)


def _ledger(noise, seed, design=DESIGN):
    ledger = simulated_ledger(np.random.default_rng(seed), design, Arms((0.0,) * 4, noise))
    return ledger.assign(pair=ledger.groupby(["arm", "repeat", "seed", "patient"]).cumcount())


@pytest.mark.long
def test_calm_and_noisy_studies_are_told_apart():
    """Mean over two studies each: training noise within 40 % of the planted, and in the right order."""
    arms = [f"arm{i}" for i in range(1, 5)]
    calm, heavy = (
        float(np.mean([fitted_noise(_ledger(noise, seed), "reference", arms).run for seed in range(2)]))
        for noise in (DEFAULT_NOISE, HEAVY_NOISE)
    )
    assert calm < heavy
    assert heavy == pytest.approx(HEAVY_NOISE.run, rel=0.4)


def test_folds_of_one_seed_show_too_little_of_training_noise():
    ledger = _ledger(DEFAULT_NOISE, 0, Design(patients=40, seeds=1))
    assert fitted_noise(ledger, "reference", ["arm1"]) is None


def test_without_the_reference_there_is_nothing_to_fit():
    ledger = _ledger(DEFAULT_NOISE, 0, Design(patients=40, seeds=1))
    assert fitted_noise(ledger, "mse", ["arm1"]) is None

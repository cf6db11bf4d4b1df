"""What is recorded in words of every run is what the code does."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn

from learner_ray.core.config import Config
from learner_ray.imaging.sampling import frame_indices
from learner_ray.training.classifiers import Scaler
from learner_ray.training.practice import practice
from learner_ray.training.pretraining import Pretraining
from learner_ray.training.step import _optimizer

SAID = practice()


def test_the_rate_rises_linearly_and_falls_along_a_cosine_to_zero() -> None:
    assert SAID["training"]["schedule"].startswith("rises linearly, then falls along a cosine to zero")
    run = object.__new__(Pretraining)
    run.config = Config().with_values({"train.epochs": 10, "train.warmup": 0.2, "train.lr": 1.0})
    run._steps_per_epoch = 10
    rates = [run._lr(step) for step in range(100)]
    assert np.allclose(rates[:20], np.arange(1, 21) / 20)
    assert np.allclose(rates[20:], [0.5 * (1 + math.cos(math.pi * n / 80)) for n in range(80)])


def test_weights_are_decayed_and_biases_and_normalisation_are_not() -> None:
    assert SAID["training"]["decayed"] == "weights, not biases and normalisation"
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    train = Config().with_values({"train.optimizer": "sgd"}).train
    groups = _optimizer(network, train, torch.zeros(())).param_groups
    decayed = [p.ndim for group in groups if group["weight_decay"] for p in group["params"]]
    assert decayed == [4] and {group["momentum"] for group in groups} == {SAID["training"]["sgd_momentum"]}


def test_frames_are_drawn_from_equal_segments_and_centred_in_evaluation() -> None:
    assert SAID["frames"]["evaluation"] == "the centres of these segments"
    lengths = torch.full((50,), 12)
    assert frame_indices(lengths, 4, None)[0].tolist() == [1, 4, 7, 10]
    drawn = frame_indices(lengths, 4, torch.arange(50))
    assert (drawn // 3 == torch.arange(4)).all() and not (drawn == drawn[0]).all()


def test_inputs_of_a_classifier_have_a_mean_squared_length_of_one() -> None:
    assert SAID["classifier"]["inputs"] == "scaled to a mean squared length of one"
    block = np.random.default_rng(0).normal(size=(40, 5)) * 7
    assert np.isclose((Scaler.fit([block], centre=True)([block]) ** 2).sum(1).mean(), 1)

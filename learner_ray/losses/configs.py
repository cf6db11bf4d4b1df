"""The settings of each loss that comes with the package, in a module that does not load PyTorch.

Every key is ``loss.<field>`` in ``--set`` and in search spaces. A loss of your own has its dataclass inside
it: ``class Config(LossConfig)``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from learner_ray.core.sections import LossConfig, require


@dataclass(frozen=True, kw_only=True)
class TemperatureConfig(LossConfig):
    """Settings of a loss that has a softmax."""

    temperature: float = 0.0
    """Temperature of the softmax; 0 is the value published for the loss."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.temperature >= 0, "loss.temperature must not be negative")


@dataclass(frozen=True, kw_only=True)
class RankNContrastConfig(TemperatureConfig):
    """Settings of ``rank_n_contrast``."""

    published: ClassVar[Mapping[str, float]] = {"temperature": 2.0}


@dataclass(frozen=True, kw_only=True)
class KernelConfig(TemperatureConfig):
    """Settings of a loss that weighs pairs by a kernel on the score difference."""

    bandwidth: float = 1.0
    """Width of the kernel on scores, in training SDs."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.bandwidth > 0, "loss.bandwidth must be positive")


@dataclass(frozen=True, kw_only=True)
class YAwareConfig(KernelConfig):
    """Settings of ``y_aware``."""

    published: ClassVar[Mapping[str, float]] = {"temperature": 0.1}


@dataclass(frozen=True, kw_only=True)
class ExpWConfig(KernelConfig):
    """Settings of ``expw``."""

    published: ClassVar[Mapping[str, float]] = {"temperature": 0.1}


@dataclass(frozen=True, kw_only=True)
class ContrastiveConfig(LossConfig):
    """Settings of ``contrastive``."""

    margin: float = 0.2
    """Cosine margin m: negatives are pushed below a similarity of 1 - m."""
    threshold: float = 0.5
    """Pairs whose scores differ by at most this many training SDs are positives (tau)."""
    weighted: bool = False
    """Weight a negative pair by its score difference, relative to the training set's mean over negatives."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.margin <= 2, f"loss.margin must be in (0, 2], not {self.margin}")
        require(self.threshold >= 0, "loss.threshold must not be negative")


@dataclass(frozen=True, kw_only=True)
class AdaConConfig(TemperatureConfig):
    """Settings of ``adacon``."""

    published: ClassVar[Mapping[str, float]] = {"temperature": 1 / 150}
    published_weight: ClassVar[float | None] = 0.75
    threshold: float = 0.5
    """Pairs whose scores differ by at most this many training SDs are positives (tau)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.threshold >= 0, "loss.threshold must not be negative")


@dataclass(frozen=True, kw_only=True)
class SupConConfig(TemperatureConfig):
    """Settings of ``supcon``."""

    published: ClassVar[Mapping[str, float]] = {"temperature": 0.07}
    bins: int = 5
    """Quantile bins of the training scores that are taken for classes."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(2 <= self.bins <= 1_000_000, f"loss.bins must be 2 to 1000000, not {self.bins}")


@dataclass(frozen=True, kw_only=True)
class SiameseConfig(TemperatureConfig):
    """Settings of ``siamese``."""

    published: ClassVar[Mapping[str, float]] = {"temperature": 0.4}
    boundary: float = 1.0
    """Least change that is worse or better (theta), in change thresholds of the cohort's score; 0 goes by
    ``loss.threshold`` instead."""
    threshold: float = 0.5
    """Only where ``loss.boundary`` is 0: a change of more than this many training SDs of the score is worse
    or better."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.boundary >= 0, "loss.boundary must not be negative")
        require(self.threshold >= 0, "loss.threshold must not be negative")

"""The interface of a pretraining loss, and the pieces that several of them share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from learner_ray.core.components import LOSSES
from learner_ray.core.errors import UserError
from learner_ray.core.sections import LossConfig
from learner_ray.losses.pairwise import select_pairs


@dataclass(frozen=True)
class TrainingScores:
    """The scores of the training set, by which a loss may scale itself; one entry per scan."""

    scores: Tensor
    """(N,) standardised scores."""
    patients: Tensor
    """(N,) int64 numbers of patients."""
    change_threshold: float = 1.0
    """Least change of the score that is worse or better, in training SDs; 1 where no cohort states one."""


@dataclass(frozen=True)
class Batch:
    """The global batch: B views of scans, gathered over all devices."""

    embeddings: Tensor
    """(B, D): the network's projection."""
    scores: Tensor
    """(B,) standardised scores."""
    patients: Tensor
    """(B,) int64 numbers of patients."""
    scans: Tensor
    """(B,) int64 numbers of scans; two views of a scan share one."""
    predictions: Tensor
    """(B,) predicted scores, standardised."""
    order: Tensor
    """(B,) order of the visit within its patient."""

    def __len__(self) -> int:
        return len(self.embeddings)

    def widened(self) -> Batch:
        """A copy of the batch with all numbers in float32 or, where they are float64, in float64."""
        kind = torch.promote_types(self.embeddings.dtype, torch.float32)
        return replace(
            self,
            embeddings=self.embeddings.to(kind),
            scores=self.scores.to(kind),
            predictions=self.predictions.to(kind),
        )


class Loss(ABC):
    """What pretraining minimises beside the mean squared error of the score.

    A subclass has a name and a :meth:`compute`; it must stay finite, with finite gradients, on batches
    without a pair to compare, where its value is zero. To be part of a CUDA graph, :meth:`compute` must not
    read a number on the host (``item``, ``if tensor``), have no shape that depends on the data (masks
    instead of boolean indexing) and make no tensor on the CPU: what it needs beside the batch is an
    attribute, which :meth:`to` moves.
    """

    name: ClassVar[str]
    """The value of ``loss.name`` that selects the loss."""
    Config: ClassVar[type[LossConfig]] = LossConfig
    """Its settings, a frozen dataclass; each field is a key ``loss.<field>``."""
    own_pairs: ClassVar[str] = ""
    """The pairs that it compares, in words, if it does not go by ``loss.pairs``."""
    views: int = 1
    """Number of augmented views of every scan in a batch: of the class, what ``loss.views`` 0 stands for."""
    default_temperature: ClassVar[float | None] = None
    """The temperature that ``config.temperature`` 0 stands for, where ``Config.published`` names none, as it
    must for a search to begin there; 0.1 where neither does."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own, published = cls.default_temperature, cls.Config.published.get("temperature")
        if own is not None and published is not None and own != published:
            raise UserError(
                f"loss {cls.__name__}: its default_temperature is {own:g}, but published of its Config says "
                f"{published:g}: state one value, in published of a Config of its own"
            )
        LOSSES.added(cls)

    def __init__(self, config: LossConfig, training: TrainingScores) -> None:
        self.config = config
        self.training = training
        self.views = self.views_of(config)
        published = config.published.get("temperature") or self.default_temperature or 0.1
        self.temperature = getattr(config, "temperature", 0.0) or published

    @classmethod
    def views_of(cls, config: LossConfig) -> int:
        """The number of views of every scan under some settings: ``config.views``, or the loss's own."""
        return config.views or cls.views

    def to(self, device: torch.device | str) -> Loss:
        """Moves the training scores, and every tensor that is an attribute, to a device; returns the loss.

        What is computed once from the training set is computed on the CPU, so that its bits are the same
        everywhere, and moved once: a copy in each step would keep the step out of a CUDA graph.
        """
        scores, patients = self.training.scores.to(device), self.training.patients.to(device)
        self.training = replace(self.training, scores=scores, patients=patients)
        for name, value in vars(self).items():
            if isinstance(value, Tensor):
                setattr(self, name, value.to(device))
        return self

    def __call__(self, batch: Batch) -> Tensor:
        """The scalar loss of a batch, computed in float32 or float64 even under autocast."""
        with torch.autocast(batch.embeddings.device.type, enabled=False):
            wide = batch.widened()
            # A projection head that gets no gradient from some loss would stall data parallelism.
            return self.compute(wide) + 0 * wide.embeddings.sum()

    @abstractmethod
    def compute(self, batch: Batch) -> Tensor:
        """The scalar loss () of a batch whose numbers are float32 or float64."""

    def pairs(self, batch: Batch, *, views: bool = False) -> Tensor:
        """(B, B) bool: the pairs that count, never an entry with itself.

        ``config.pairs`` decides between those of different patients, all, and those of one patient.

        Args:
            views: also count two views of one scan, for any value of ``config.pairs``.
        """
        chosen = select_pairs(self.config, batch.patients[:, None], batch.patients)
        same_scan = batch.scans[:, None] == batch.scans
        chosen = chosen | same_scan if views else chosen & ~same_scan
        return chosen.fill_diagonal_(False)

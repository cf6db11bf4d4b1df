"""Which runs that ended in an earlier start are trained again, and which need not be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from learner_ray.run.spec import RunSpec

if TYPE_CHECKING:
    from learner_ray.study.planned_run import PlannedRun


@dataclass(frozen=True, kw_only=True)
class Retry:
    """Says which failed runs are trained again, each once."""

    roles: frozenset[str] = frozenset()
    """Roles of runs that are: trial, audit, final."""
    tried: set[str] = field(default_factory=set)
    """Hashes of the runs that were asked about."""

    def wants(self, planned: PlannedRun) -> bool:
        """Whether a run that has failed is to be trained again; asked once for each."""
        wanted = planned.role in self.roles and planned.spec.hash not in self.tried
        self.tried.add(planned.spec.hash)
        return wanted


def is_whole(progress: Sequence[Mapping[str, Any]], spec: RunSpec) -> bool:
    """Whether a run's progress has every epoch of its schedule."""
    train = spec.config.train
    epochs = list(range(1, (train.stop_epoch or train.epochs) + 1))
    return spec.config.pretrains and [row.get("epoch") for row in progress] == epochs

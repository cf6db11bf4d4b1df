from collections.abc import Sequence
from statistics import median

from learner_ray.study.pruners import Pruner, TrialProgress


class BelowMedian(Pruner):
    """Stops a trial that is below the median of the earlier trials at the same epoch."""

    name = "below_median"

    def should_prune(self, trial: TrialProgress, earlier: Sequence[TrialProgress], epochs: int) -> bool:
        reached = [other.score_at(trial.epoch) for other in earlier if trial.epoch in other.scores]
        return bool(reached) and trial.score < median(reached)

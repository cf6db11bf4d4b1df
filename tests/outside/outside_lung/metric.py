import numpy as np
from numpy.typing import NDArray

from learner_ray.training.selection_metrics import SelectionMetric


class Sureness(SelectionMetric):
    """How probable the true classes were held to be."""

    name = "sureness"
    label = "mean probability of the true class"

    def compute(
        self, y: NDArray[np.int64], probabilities: NDArray[np.float64], decided: NDArray[np.int64]
    ) -> float:
        return float(probabilities[np.arange(len(y)), y].mean())

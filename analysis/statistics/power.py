"""The smallest difference that a study of a given size can detect, by simulating the decision rule."""

from __future__ import annotations

from analysis.statistics.metrics import METRICS, ReportMetric
from analysis.statistics.simulated_studies import Design, simulated_tests

POWER = 0.8
"""Share of studies that call the difference supported, at the minimum detectable difference."""
_LARGEST = 4.0
"""Effect on the logit of the true class beyond which nothing is looked for."""
_HALVINGS = 6


def minimum_detectable(
    design: Design,
    metric: ReportMetric = METRICS["macro_f1"],
    *,
    studies: int = 60,
    draws: int = 500,
    seed: int = 0,
) -> float | None:
    """Find the difference of a metric that 80 % of studies of a given size call supported after Holm.

    One arm differs from the reference, the others are equal to it.

    Args:
        design: patients, their pairs, folds, repeats, seeds and the arms of the declared family.
        metric: the primary metric.
        studies: simulated at each effect tried; 60 leave about 0.05 of uncertainty in the power.
        draws: of the bootstrap.

    Returns:
        The mean difference found at that effect, in the metric's unit and below zero where lower is better;
        None where even an arm that is nearly always right would be found less often.
    """

    def tried(effect: float) -> tuple[float, float]:
        effects = [effect, *[0.0] * (design.arms - 1)]
        tests = simulated_tests(design, studies, effects, primary=metric, draws=draws, seed=seed)
        first = tests[tests["arm"] == "arm1"]
        return float((first["verdict"] == "supported").mean()), float(first["difference"].mean())

    power, found = tried(_LARGEST)
    if power < POWER:
        return None
    low, high = 0.0, _LARGEST
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        power, difference = tried(middle)
        if power < POWER:
            low = middle
        else:
            high, found = middle, difference
    return found

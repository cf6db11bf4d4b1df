"""The smallest difference that a study of a given size can detect, by simulating the decision rule."""

from __future__ import annotations

from analysis.statistics.metrics import METRICS, ReportMetric
from analysis.statistics.simulated_studies import DEFAULT_NOISE, Arms, Design, Noise, simulated_tests

POWER = 0.8
"""Share of studies that call the difference supported, at the minimum detectable difference."""
STUDIES = 60
"""Studies that are simulated at each effect tried; they leave about 0.05 of uncertainty in the power."""
_LARGEST = 4.0
"""Effect on the logit of the true class beyond which nothing is looked for."""
_HALVINGS = 6


def minimum_detectable(
    design: Design,
    metric: ReportMetric = METRICS["macro_f1"],
    *,
    arms: int = 1,
    noise: Noise = DEFAULT_NOISE,
    studies: int = STUDIES,
    seed: int = 0,
) -> float | None:
    """Find the difference of a metric that 80 % of studies of a given size call supported after Holm.

    One arm differs from the reference, the others are equal to it.

    Args:
        design: patients, their pairs, folds, repeats and seeds.
        metric: the primary metric.
        arms: of the declared family.
        noise: how runs, arms and patients differ by chance.
        studies: simulated at each effect tried.
        seed: of the simulation.

    Returns:
        The mean difference found at that effect, in the metric's unit and below zero where lower is better;
        None where even an arm that is nearly always right would be found less often.
    """

    def tried(effect: float) -> tuple[float, float]:
        compared = Arms(effects=(effect, *[0.0] * (arms - 1)), noise=noise)
        tests = simulated_tests(design, studies, compared, seed=seed, metric=metric)
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

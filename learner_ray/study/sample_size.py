"""The smallest difference that a study of a plan's size could find, with all that this is worked out from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.statistics.fitted_noise import fitted_noise
from analysis.statistics.metrics import METRICS, ReportMetric
from analysis.statistics.power import POWER, STUDIES, minimum_detectable
from analysis.statistics.simulated_studies import DEFAULT_NOISE, Design, Noise
from learner_ray.study.plan import Plan


@dataclass(frozen=True, kw_only=True)
class SampleSize:
    """A minimum detectable difference and its assumptions."""

    difference: float | None
    """In the metric's unit, below zero where lower is better; None where no difference would be found."""
    metric: ReportMetric
    design: Design
    arms: int
    """Arms that are compared with the reference."""
    noise: Noise
    noise_from: str
    """Where the noise is from, in words."""
    looks: int
    """Looks at the results that are declared, each of which has its share of alpha."""

    @property
    def is_known(self) -> bool:
        """Whether the metric gets better where more pairs are recognised, as in the simulated studies."""
        return self.difference is None or self.metric.word(self.difference) == "better"

    @property
    def record(self) -> dict[str, Any]:
        """All of it as plain values."""
        return {
            "metric": self.metric.label,
            "difference": self.difference if self.is_known else None,
            "known": self.is_known,
            "power": POWER,
            "simulated_studies": STUDIES,
            "arms_compared": self.arms,
            "patients": self.design.patients,
            "pairs": sum(self.design.pairs),
            "class_shares": [round(share, 4) for share in self.design.classes],
            "folds": self.design.folds,
            "repeats": self.design.repeats,
            "seeds": self.design.seeds,
            "looks": self.looks,
            "noise_from": self.noise_from,
            "noise": asdict(self.noise),
        }


def sample_size(plan: Plan, ledger: Path | None = None, *, looks: int = 1) -> SampleSize | None:
    """Works out the minimum detectable difference of a plan's primary metric; None where no arm is compared.

    Args:
        plan: the study.
        ledger: of final runs that the study has already, whose noise is taken then.
        looks: at the results that are declared; the difference is that of one look.
    """
    reference = plan.study.reference
    family = [arm.name for arm in plan.arms if not arm.control and arm.name != reference]
    if not family or reference not in {arm.name for arm in plan.arms}:
        return None
    pairs = plan.cohort.pairs()["patient"].value_counts()
    counts = plan.cohort.class_counts()
    worse, same, better = (float(n / counts.sum()) for n in counts)
    metric = METRICS[plan.study.primary_metric]
    if plan.study.endpoint != "progression":  # what a ledger shows is read with the metrics of three classes
        ledger = None
    noise, noise_from = noise_seen(ledger, reference, family)
    design = Design(
        patients=len(pairs),
        folds=plan.size.folds,
        repeats=plan.size.repeats,
        seeds=plan.size.seeds,
        pairs=tuple(int(n) for n in pairs),
        classes=(worse, same, better),
    )
    return SampleSize(
        difference=minimum_detectable(design, metric, arms=len(family), noise=noise, looks=looks),
        metric=metric,
        design=design,
        arms=len(family),
        noise=noise,
        noise_from=noise_from,
        looks=looks,
    )


def sample_size_record(plan: Plan, looks: int = 1) -> dict[str, Any] | None:
    """What ``study.json`` keeps of a plan's sample size; None where no arm is compared."""
    found = sample_size(plan, looks=looks)
    return found.record if found else None


def noise_seen(ledger: Path | None, reference: str, arms: Sequence[str]) -> tuple[Noise, str]:
    """The noise that runs and patients are simulated with, and where it is from, in words.

    Args:
        ledger: of final runs that the study has already; they need not be those that are planned.
        reference: the arm that others are compared with.
        arms: those others.
    """
    assumed = DEFAULT_NOISE, "noise as assumed"
    if ledger is None or not ledger.is_file():
        return assumed
    try:
        rows = pd.read_parquet(ledger)
        seen = fitted_noise(rows, reference, arms)
    except (OSError, ValueError, KeyError):  # a damaged ledger is written anew by the sweep itself
        return assumed
    runs = rows.loc[rows["arm"].isin([reference, *arms]), "run_hash"].nunique() if seen else 0
    return (seen, f"noise fitted to {runs} final runs of this study") if seen else assumed

"""How often each validity check, and the test of equivalence, is wrong: simulated studies of known truth.

    python benchmarks/check_errors.py [--studies 1000] [--only NAME] [--code FOLDER]

Prints a Markdown table: the share of green, amber and red per check and condition with Wilson's 95 %
intervals; bold where the colour is wrong. Of equivalence green is that it is said of any arm. ``--code``
measures the checks of another checkout by the same simulation (``git worktree add FOLDER 05cc4de``). About an
hour and a half on one core for 1,000 studies, nearly all of it label shuffle; ``--only`` runs the conditions
whose name holds a word.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

sys.path.insert(
    0,
    sys.argv[sys.argv.index("--code") + 1]
    if "--code" in sys.argv
    else str(Path(__file__).resolve().parents[1]),
)

from analysis.page import control_checks
from analysis.results.study import DeclaredArm, StudyResults
from analysis.statistics.compare import Comparison, compare
from analysis.statistics.equivalence_test import equivalence_tests
from analysis.statistics.metrics import METRICS, ReportMetric
from analysis.statistics.simulated_studies import (
    DEFAULT_NOISE,
    HEAVY_NOISE,
    Arms,
    Design,
    Noise,
    effect_for,
    simulated_ledger,
)
from analysis.statistics.standing import Standing
from analysis.statistics.verdict import ALPHA
from analysis.tables.across_studies import tuned_and_fixed
from learner_ray.core.config import ProgressionConfig
from learner_ray.training.progression import Embedded, Progression

DRAWS = 400
THRESHOLD = 25.0
EFFECT = 0.6
"""On the logit of the true class: about 0.10 of macro-F1."""
F1 = METRICS["macro_f1"]
NO_CAP = Standing(
    alpha=ALPHA,
    exploratory={},
    configuration={},
    numbers={},
    looks_declared=1,
    look=None,
    looks=(),
    siblings=(),
)
"""Nothing stands against a simulated study's verdicts."""
LAPTOP = Design(patients=36, folds=3, repeats=1, seeds=1)
MANY = Design()

Answer = str
Study = Callable[[np.random.Generator], Answer]


@dataclass(frozen=True)
class Statistics:
    """What the checks ask of a study's statistics."""

    study: StudyResults
    draws: int = DRAWS

    @property
    def primary_metric(self) -> ReportMetric:
        return METRICS["macro_f1"]

    @cached_property
    def comparison(self) -> Comparison:
        return compare(self.study, self.primary_metric, self.draws)

    @property
    def arms(self) -> list[str]:
        return self.study.ordered_arms

    @property
    def spearman(self) -> pd.DataFrame:
        return pd.DataFrame(columns=["arm"])


@dataclass(frozen=True)
class Condition:
    """What is simulated, and which colours would be wrong there."""

    check: str
    name: str
    wrong: tuple[str, ...]
    study: Study


def statistics_of(
    ledger: pd.DataFrame, arms: Mapping[str, Mapping[str, Any]], reference: str, design: Design, **tables: Any
) -> Statistics:
    """What a check is given of one study: its arms with their edits, and its ledger."""
    declared = tuple(
        DeclaredArm(name=name, label=name, control=name.startswith("control"), edits=dict(edits))
        for name, edits in arms.items()
    )
    sizes = {"folds": design.folds, "repeats": design.repeats, "seeds": design.seeds}
    score = {"name": "score", "change_threshold": THRESHOLD}
    ledger = ledger.assign(
        pair=ledger.groupby(["arm", "repeat", "seed"]).cumcount().astype(str), imputed=False,
        run_hash=ledger["arm"] + ledger["fold"].astype(str) + "s" + ledger["seed"].astype(str),
    )  # fmt: skip
    study = StudyResults(
        key="lus", folder=Path("lus"), arms=declared, ledger=ledger, scores=pd.DataFrame(),
        trials=pd.DataFrame(),
        info={"reference": reference, "protocol": "nested", "cohort": {"score": score}, **sizes}, **tables,
    )  # fmt: skip
    return Statistics(study)


def against_control(design: Design, noise: Noise, effect: float, arms: int) -> Study:
    """All arms differ from the control by the effect."""

    def study(rng: np.random.Generator) -> Answer:
        ledger = simulated_ledger(rng, design, Arms((effect,) * arms, noise))
        ledger["arm"] = ledger["arm"].replace("reference", "control")
        names = {f"arm{i + 1}": {} for i in range(arms)}
        declared = {**names, "control": {"progression.input": "earlier_score"}}
        statistics = statistics_of(ledger, declared, "arm1", design)
        return control_checks.beaten_controls(statistics)[0].status

    return study


def class_threshold(design: Design, noise: Noise, effect: float) -> Study:
    """Three arms that differ from the reference by the effect, whatever the threshold."""

    def study(rng: np.random.Generator) -> Answer:
        ledger = simulated_ledger(rng, design, Arms((effect,) * 3, noise))
        one = ledger[(ledger["arm"] == "reference") & (ledger["seed"] == 0) & (ledger["repeat"] == 0)]
        side = one["y_true"].to_numpy() - 1
        far, near = rng.uniform(THRESHOLD, 60, len(side)), rng.uniform(-THRESHOLD, THRESHOLD, len(side))
        change = np.where(side == 0, near, side * far)
        ledger = ledger.assign(change=np.tile(change, len(ledger) // len(one)))
        arms: dict[str, dict[str, Any]] = {"reference": {}, "arm1": {}, "arm2": {}, "arm3": {}}
        return control_checks.class_threshold(statistics_of(ledger, arms, "reference", design)).status

    return study


def equivalence(design: Design, noise: Noise, difference: float, margin: float, arms: int = 1) -> Study:
    """Arms whose true macro-F1 differs from the reference's by the difference."""
    effect = effect_for(difference, noise)

    def study(rng: np.random.Generator) -> Answer:
        ledger = simulated_ledger(rng, design, Arms((effect,) * arms, noise))
        names = ("reference", *(f"arm{i + 1}" for i in range(arms)))
        item = statistics_of(ledger, {name: {} for name in names}, "reference", design)
        item.study.info["equivalence_margin"] = margin
        return "green" if equivalence_tests(item.study, F1, NO_CAP)["equivalent"].any() else "amber"

    return study


def rank_flips(design: Design, noise: Noise, step: float) -> Study:
    """Three arms, each better than the one before by the step, once searched and once fixed."""

    def study(rng: np.random.Generator) -> Answer:
        both = []
        arms: dict[str, dict[str, Any]] = {"reference": {}, "arm1": {}, "arm2": {}}
        for key in ("tuned", "fixed"):
            ledger = simulated_ledger(rng, design, Arms((step, 2 * step), noise))
            item = statistics_of(ledger, arms, "reference", design)
            trials = [{"arm": arm, "repeat": 0, "fold": 0, "run_hash": ""} for arm in arms for _ in range(2)]
            object.__setattr__(item.study, "trials", pd.DataFrame(trials if key == "tuned" else []))
            object.__setattr__(item.study, "key", key)
            both.append(item)
        panel = tuned_and_fixed(both).panels[0][1]
        flips = panel["Rank flip"].astype(str)
        said = flips.str.startswith("flip")
        return "red" if said.any() else "green" if (flips == "").all() else "amber"

    return study


def label_shuffle(information: float, leak: bool = False, patients: int = 60, folds: int = 3) -> Study:
    """Embeddings of 8 numbers, the first of which holds so much of the class; with a leak, the training
    patients of every fold hold those of the test."""

    def study(rng: np.random.Generator) -> Answer:
        pairs, scans, embedded = simulated_cohort(rng, patients, information)
        fold = (rng.permutation(patients) % folds)[pairs["patient"].str[1:].astype(int)]
        config = ProgressionConfig(head="ordinal", shuffle_labels=True)
        ledgers, counts = [], []
        for number in range(folds):
            tested = pairs[fold == number].reset_index(drop=True)
            fitted = pairs if leak else pairs[fold != number].reset_index(drop=True)
            once = Progression.fit(config, fitted, scans, embedded, seed=int(rng.integers(2**31)))
            called = once.decide(once.predict(tested, scans, embedded))
            ledgers.append(
                pd.DataFrame(
                    {"arm": "control", "repeat": 0, "fold": number, "seed": 0, "patient": tested["patient"],
                     "y_true": tested["y"], "y_pred": called}
                )
            )  # fmt: skip
            counts += permutations(config, pairs, fitted, tested, scans, embedded, number)
        ledger = pd.concat(ledgers, ignore_index=True)
        design = Design(patients=patients, folds=folds, seeds=1)
        tables = {"permutations": pd.concat(counts)} if counts else {}
        arms = {"control": {"progression.shuffle_labels": True}}
        return shuffle_check()(statistics_of(ledger, arms, "control", design, **tables)).status

    return study


def simulated_cohort(
    rng: np.random.Generator, patients: int, information: float, size: int = 8
) -> tuple[pd.DataFrame, pd.DataFrame, Embedded]:
    """One to three pairs of each patient, whose embeddings share a patient's part."""
    rows, scans, embeddings = [], [], {}
    for patient in range(patients):
        own = rng.normal(size=size)
        for visit in range(int(rng.choice([1, 2, 3], p=[0.6, 0.25, 0.15])) + 1):
            scans.append((f"{patient}-{visit}", f"p{patient}", str(visit), ""))
            embeddings[f"{patient}-{visit}"] = own * visit * 0.5 + rng.normal(size=size)
            if visit:
                y = int(rng.choice(3, p=[0.3, 0.4, 0.3]))
                rows.append((f"p{patient}", str(visit - 1), str(visit), y))
                embeddings[f"{patient}-{visit}"][0] += information * (y - 1)
    pairs = pd.DataFrame(rows, columns=["patient", "earlier", "later", "y"])
    pairs = pairs.assign(score_earlier=0.0, score_later=0.0, interval_days=1.0, site="", device="")
    return (
        pairs,
        pd.DataFrame(scans, columns=["scan", "patient", "visit", "view"]),
        Embedded(embeddings, dict.fromkeys(embeddings, 0.0)),
    )


def permutations(config: ProgressionConfig, pairs: Any, *rest: Any) -> list[pd.DataFrame]:
    """The permuted counts of one fold, where the code makes any."""
    try:
        from learner_ray.training.label_permutations import permuted_counts
    except ImportError:
        return []
    *rest, number = rest
    table = permuted_counts(config, pairs, *rest, permutations=40)
    return [table.assign(arm="control", repeat=0, fold=number, seed=0, run_hash=f"control{number}s0")]


def shuffle_check() -> Callable[[Any], Any]:
    """The check, where the code has it."""
    try:
        from analysis.page.label_shuffle import label_shuffle as check
    except ImportError:
        check = control_checks.label_shuffle
    return check


def conditions() -> list[Condition]:
    """All that is simulated."""
    control, threshold, shuffle = "Earlier score alone", "Class threshold", "Label shuffle"
    one_seed = Design(seeds=1)
    found = [
        Condition(control, f"{name} equal to the control", ("green", "red"), against_control(*study))
        for name, study in (
            ("1 arm", (MANY, DEFAULT_NOISE, 0.0, 1)),
            ("3 arms", (MANY, DEFAULT_NOISE, 0.0, 3)),
            ("10 arms", (MANY, DEFAULT_NOISE, 0.0, 10)),
            ("3 arms, heavy noise,", (MANY, HEAVY_NOISE, 0.0, 3)),
            ("3 arms, laptop,", (LAPTOP, DEFAULT_NOISE, 0.0, 3)),
        )
    ]
    found += [
        Condition(control, "sound: 3 arms 0.10 better", ("red",),
                  against_control(MANY, DEFAULT_NOISE, EFFECT, 3)),
        Condition(control, "sound: 3 arms 0.10 better, heavy noise", ("red",),
                  against_control(MANY, HEAVY_NOISE, EFFECT, 3)),
        Condition(control, "3 arms 0.10 worse", ("green",),
                  against_control(MANY, DEFAULT_NOISE, -EFFECT, 3)),
        Condition(threshold, "no difference", ("green", "red"), class_threshold(MANY, DEFAULT_NOISE, 0.0)),
        Condition(threshold, "no difference, heavy noise", ("green", "red"),
                  class_threshold(MANY, HEAVY_NOISE, 0.0)),
        Condition(threshold, "sound: 3 arms 0.10 better", ("red",),
                  class_threshold(MANY, DEFAULT_NOISE, EFFECT)),
        Condition("Rank flip (red: said)", "no difference", ("red",), rank_flips(MANY, DEFAULT_NOISE, 0.0)),
        Condition("Rank flip (red: said)", "sound: same order, steps of 0.05", ("red",),
                  rank_flips(MANY, DEFAULT_NOISE, EFFECT / 2)),
        *(
            Condition("Equivalence", name, wrong, equivalence(*study))
            for name, wrong, study in (
                ("differs by the margin, 0.05", ("green",), (MANY, DEFAULT_NOISE, 0.05, 0.05)),
                ("by the margin, 1 seed", ("green",), (one_seed, DEFAULT_NOISE, 0.05, 0.05)),
                ("by the margin, heavy noise", ("green",), (MANY, HEAVY_NOISE, 0.05, 0.05)),
                ("by the margin, heavy, 1 seed", ("green",), (one_seed, HEAVY_NOISE, 0.05, 0.05)),
                ("by the margin, 3 arms", ("green",), (MANY, DEFAULT_NOISE, 0.05, 0.05, 3)),
                ("by a margin of 0.10", ("green",), (MANY, DEFAULT_NOISE, 0.10, 0.10)),
                ("by a margin of 0.10, laptop", ("green",), (LAPTOP, DEFAULT_NOISE, 0.10, 0.10)),
                ("sound: equal, margin 0.05", (), (MANY, DEFAULT_NOISE, 0.0, 0.05)),
                ("sound: equal, margin 0.10", (), (MANY, DEFAULT_NOISE, 0.0, 0.10)),
                ("sound: equal, margin 0.10, heavy noise", (), (MANY, HEAVY_NOISE, 0.0, 0.10)),
            )
        ),
        Condition(shuffle, "embeddings without information", ("green", "red"), label_shuffle(0.0)),
        Condition(shuffle, "sound: embeddings with information", ("red",), label_shuffle(1.5)),
        Condition(shuffle, "leak: test patients are trained on", ("green",), label_shuffle(1.5, leak=True)),
    ]  # fmt: skip
    return found


def shown(count: int, studies: int, wrong: bool) -> str:
    """A rate with Wilson's interval, in bold where the colour is wrong."""
    interval = stats.binomtest(count, studies).proportion_ci(0.95, "wilson")
    text = f"{100 * count / studies:.1f} % [{100 * interval.low:.1f}, {100 * interval.high:.1f}]"
    return f"**{text}**" if wrong else text


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--only", default="", help="conditions whose check or name holds this")
    parser.add_argument("--code", help="folder of the checkout whose checks are measured (default: this one)")
    args = parser.parse_args()
    print("Share of studies in which a check is of each colour; bold: the colour is wrong there.\n")
    print("| check | condition | green | amber | red | seconds |\n|---|---|---|---|---|---|", flush=True)
    for number, condition in enumerate(conditions()):
        if args.only.lower() not in f"{condition.check} {condition.name}".lower():
            continue
        start = time.perf_counter()
        seeds = np.random.SeedSequence(number).spawn(args.studies)
        answers = [condition.study(np.random.default_rng(seed)) for seed in seeds]
        cells = [
            shown(answers.count(colour), args.studies, colour in condition.wrong)
            for colour in ("green", "amber", "red")
        ]
        row = [condition.check, condition.name, *cells, f"{time.perf_counter() - start:.0f}"]
        print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()

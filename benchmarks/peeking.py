"""How often *supported* is wrong when somebody peeks seed by seed, or searches once for all folds.

    python benchmarks/peeking.py [--studies 2000] [--first 2] [--last 10]

Arms are equal in truth. Peeking: training noise is heavy; the study is looked at with 2 seeds, then with 3,
and so on to 10, and counts as wrong where any look says *supported*. One search for all folds: an arm's luck
in that search is the same in all folds. Each is decided with and without the cap on verdicts (cap.py in
analysis/statistics). Prints Markdown tables with Wilson intervals; about 15 minutes on one core.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from analysis.results.looks import Look, look_number, new_look, seen_rows
from analysis.statistics.cap import capped
from analysis.statistics.compare import tests_against
from analysis.statistics.confusion_counts import confusion_counts
from analysis.statistics.metrics import METRICS
from analysis.statistics.rule import ANALYSIS
from analysis.statistics.simulated_studies import (
    HEAVY_NOISE,
    REFERENCE,
    Arms,
    Design,
    simulated_ledger,
)
from analysis.statistics.standing import Standing
from analysis.statistics.verdict import ALPHA

ARM = "arm1"


def tests_of(ledger: pd.DataFrame) -> pd.DataFrame:
    """The arm's test, as the rule decides it."""
    confusions = confusion_counts(ledger, (REFERENCE, ARM))
    return tests_against(confusions, reference=REFERENCE, family=(ARM,), primary=METRICS["macro_f1"])


def standing(declared: int, number: int, look: Look | None = None, configuration: str = "") -> Standing:
    """What stands behind a simulated study: the looks that it declared, or a search of one fold."""
    late = number > declared
    return Standing(
        alpha=ALPHA / declared,
        exploratory={ARM: (f"look {number} of {declared}",)} if late else {},
        configuration={ARM: configuration} if configuration else {},
        numbers={ARM: number},
        looks_declared=declared,
        look=look,
        looks=(),
        siblings=(),
    )


def word(tests: pd.DataFrame, behind: Standing | None) -> str:
    """The verdict that is shown: capped, or as the rule gave it where nothing stands behind it."""
    return str((tests if behind is None else capped(tests, behind))["verdict"].iloc[0])


def peeked(studies: int, seeds: Sequence[int], effect: float) -> dict[str, list[bool]]:
    """Whether each study was called supported at some look, by how many looks were declared."""
    design, declared = Design(seeds=max(seeds)), {"no protocol": None, "1 look": 1}
    declared |= {f"{len(seeds)} looks": len(seeds)}
    found: dict[str, list[bool]] = {name: [] for name in [*declared, f"{max(seeds)} seeds, 1 look"]}
    for child in np.random.SeedSequence(16).spawn(studies):
        ledger = simulated_ledger(np.random.default_rng(child), design, Arms((effect,), HEAVY_NOISE))
        ledger["pair"] = ledger.groupby(["arm", "repeat", "seed"]).cumcount()
        words: dict[str, list[str]] = {name: [] for name in found}
        looks: list[Look] = []
        for number in seeds:
            seen = ledger[ledger["seed"] < number]
            tests, look = tests_of(seen), new_look(seen_rows(seen, REFERENCE, [ARM]), ANALYSIS)
            rank = look_number(ARM, looks, look)
            looks.append(look)
            for name, count in declared.items():
                words[name].append(word(tests, None if count is None else standing(count, rank, look)))
        words[f"{max(seeds)} seeds, 1 look"].append(word(tests, standing(1, 1)))
        for name, said in words.items():
            found[name].append("supported" in said)
    return found


def searched_once(studies: int, luck: float, repeats: int) -> dict[str, list[bool]]:
    """Whether each study was called supported, where an arm's luck in its one search is in all folds."""
    design, found = Design(repeats=repeats), dict[str, list[bool]](uncapped=[], capped=[])
    for child in np.random.SeedSequence(17).spawn(studies):
        rng = np.random.default_rng(child)
        lucky = float(luck * (rng.normal() - rng.normal()))
        tests = tests_of(simulated_ledger(rng, design, Arms((lucky,))))
        behind = standing(1, 1, configuration="the search saw one fold")
        found["uncapped"].append(word(tests, None) == "supported")
        found["capped"].append(word(tests, behind) == "supported")
    return found


def rate(hits: Sequence[bool]) -> str:
    """A share with its Wilson interval, in per cent."""
    test = stats.binomtest(int(np.sum(hits)), len(hits)).proportion_ci(0.95, "wilson")
    return f"{100 * np.mean(hits):.1f} % [{100 * test.low:.1f}, {100 * test.high:.1f}]"


def printed(title: str, found: dict[str, list[bool]], start: float) -> None:
    """One line of a Markdown table."""
    cells = [title, *map(rate, found.values()), f"{time.perf_counter() - start:.0f}"]
    print("| " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--studies", type=int, default=2000)
    parser.add_argument("--first", type=int, default=2, help="seeds at the first look")
    parser.add_argument("--last", type=int, default=10, help="seeds at the last look")
    args = parser.parse_args()
    seeds = range(args.first, args.last + 1)
    print(f"Share of {args.studies} studies with any *supported*; 189 patients, 5 folds, heavy noise, "
          f"looks at {args.first} to {args.last} seeds.\n")  # fmt: skip
    for number, (title, effect) in enumerate([("equal arms", 0.0), ("effect 0.6 on the logit", 0.6)]):
        start = time.perf_counter()
        studies = args.studies if not effect else max(args.studies // 5, 1)
        found = peeked(studies, seeds, effect)
        if not number:
            print("| | " + " | ".join(found) + " | seconds |")
            print("|---|" + "---|" * (len(found) + 1))
        printed(f"{title} ({studies})", found, start)
    print("\nEqual arms, one search for all folds, default noise, 3 seeds.\n")
    print("| luck of the search, SD on the logit | uncapped | capped | seconds |")
    print("|---|---|---|---|")
    for luck, repeats in ((0.15, 1), (0.30, 1), (0.30, 3)):
        start = time.perf_counter()
        found = searched_once(max(args.studies // 5, 1), luck, repeats)
        printed(f"{luck:.2f}, {repeats} repeat{'s' if repeats > 1 else ''}", found, start)


if __name__ == "__main__":
    main()

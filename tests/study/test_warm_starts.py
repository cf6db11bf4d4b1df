"""What one search takes over from another: equal runs of the same root, and nothing of another fold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from learner_ray.run.spec import RunSpec
from learner_ray.study.fake_clock import Curve, MemoryStore, simulate
from tests.study.small_study import curve, runner


def learn(spec: RunSpec) -> Curve:
    return Curve(rows=curve(spec))


def test_a_study_of_the_same_root_trains_only_what_is_new() -> None:
    store = MemoryStore()
    first = runner(store, trials=6)
    simulate(first, learn, devices=2)
    second, alone = runner(store, trials=9), runner(MemoryStore(), trials=9)
    epochs = simulate(second, learn, devices=2).epochs
    assert epochs < simulate(alone, learn, devices=2).epochs
    known = {outcome.planned.spec.hash for outcome in first.outcomes}
    new = [outcome for outcome in second.outcomes if outcome.planned.spec.hash not in known]
    assert epochs == sum(outcome.epochs for outcome in new)


def test_no_search_learns_from_another_fold() -> None:
    """The scores of the second fold are turned round: the first fold's runs stay what they are."""

    def turned(spec: RunSpec) -> Iterator[dict[str, Any]]:
        for row in curve(spec):
            if "c" in spec.patients.validation or "selection_score" not in row:  # the first fold's
                yield row
            else:
                yield {**row, "selection_score": -row["selection_score"]}

    found = []
    for trainer in (learn, lambda spec: Curve(rows=turned(spec))):
        study = runner(MemoryStore(), trials=20)
        simulate(study, trainer, devices=3)
        found.append({name: [o.planned.spec.hash for o in s.outcomes] for name, s in study.groups.items()})
    assert all((found[0][name] == found[1][name]) == name.endswith("f0") for name in found[0])

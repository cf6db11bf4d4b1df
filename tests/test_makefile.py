"""Every test is run by exactly one of the three commands that CI runs."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import pytest
from _pytest.mark.expression import Expression

ROOT = Path(__file__).parents[1]


def chooses(rule: str, has: dict[str, bool]) -> bool:
    return Expression.compile(rule).evaluate(lambda marker, **_: has[marker])


def test_every_test_is_in_exactly_one_of_the_three_commands(pytestconfig: pytest.Config) -> None:
    rules = dict(re.findall(r'^(test[a-z-]*): .*\n\t.* -m "(.*)"$', (ROOT / "Makefile").read_text(), re.M))
    assert rules.keys() == {"test", "test-fast", "test-cluster", "test-long"}
    assert all(
        f"make {name}\n" in (ROOT / ".ci" / "run").read_text() for name in rules if name != "test-fast"
    )
    markers = [line.partition(":")[0] for line in pytestconfig.getini("markers")]
    named = [name for name in markers if any(name in rule.split() for rule in rules.values())]
    for values in product((False, True), repeat=len(named)):
        has = dict(zip(named, values, strict=True))
        chosen = {name: chooses(rule, has) for name, rule in rules.items()}
        assert sum(chosen[name] for name in ("test", "test-cluster", "test-long")) == 1, has
        assert chosen["test"] or not chosen["test-fast"]

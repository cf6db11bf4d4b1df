"""What stands behind a verdict may only take away from it."""

import numpy as np
import pandas as pd
import pytest

from analysis.statistics.cap import CONFIGURATION_ONLY, capped, capped_word
from analysis.statistics.standing import Standing

WORDS = ("supported", "not supported", "not tested")


def standing(*, looks=1, number=1, exploratory=(), configuration=""):
    return Standing(
        alpha=0.05 / looks,
        exploratory={"arm": exploratory} if exploratory else {},
        configuration={"arm": configuration} if configuration else {},
        numbers={"arm": number} if number else {},
        looks_declared=looks,
        look=None,
        looks=(),
        siblings=(),
    )


CASES = {
    "a declared look, the last": (standing(), {}),
    "a declared look, not the last": (standing(looks=2), {}),
    "nothing frozen": (standing(number=0), {}),
    "one configuration": (
        standing(configuration="no search"),
        {"supported": CONFIGURATION_ONLY},
    ),
    "exploratory": (
        standing(exploratory=("look 2 of 1", "another"), configuration="no search"),
        dict.fromkeys(WORDS[:-1], "exploratory (look 2 of 1)"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("behind", "changed"), CASES.values(), ids=CASES)
def test_each_word_under_each_standing(behind, changed):
    assert {word: capped_word(word, "arm", 0.001, behind) for word in WORDS} == {
        word: changed.get(word, word) for word in WORDS
    }


def test_an_arm_is_not_capped_for_another():
    assert capped_word("supported", "other", 0.001, standing(exploratory=("why",))) == "supported"


@pytest.mark.parametrize(("p", "word"), [(0.025, "supported"), (0.0251, "not supported")])
def test_of_two_looks_each_has_half_of_alpha(p, word):
    assert capped_word("supported", "arm", p, standing(looks=2)) == word


def test_both_ways_to_count_failed_runs_are_capped_each_by_its_p():
    row = {"arm": "arm", "verdict": "supported", "p_holm": 0.01, "p_holm_put_in": 0.04, "more_seeds": 2}
    tests = pd.DataFrame([row | {"verdict_counted": "supported", "verdict_put_in": "supported"}])
    found = capped(tests, standing(looks=2)).iloc[0]
    assert found[["verdict", "verdict_counted", "verdict_put_in"]].tolist() == [
        "not supported", "supported", "not supported"
    ]  # fmt: skip
    assert found["more_seeds"] == 2 and capped(tests, standing()).iloc[0]["more_seeds"] == 0
    assert tests["verdict"].item() == "supported", "what was given stays"
    without = tests.assign(p_holm_put_in=np.nan, verdict_put_in=np.nan)
    assert capped(without, standing(looks=2)).iloc[0]["verdict"] == "supported"


def test_no_tests_have_no_verdicts():
    assert capped(pd.DataFrame(), standing()).empty

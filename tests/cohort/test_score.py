"""A change of the threshold or more counts, and healthier is better."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learner_ray.cohort import MMSE, SEVERITY, SF_RATIO, Score
from learner_ray.core.errors import UserError

scores = st.builds(
    Score,
    name=st.just("any"),
    unit=st.just(""),
    low=st.just(0.0),
    high=st.floats(10, 1000),
    healthier=st.sampled_from(["higher", "lower"]),
    change_threshold=st.floats(0.01, 10),
)
share = st.floats(0, 1)


@given(scores, share, share)
def test_swapping_the_visits_swaps_worse_and_better(score, a, b):
    earlier, later = a * score.high, b * score.high
    forward = score.classify(score.change(earlier, later))
    backward = score.classify(score.change(later, earlier))
    assert forward + backward == 2


@given(scores, share, share)
def test_classes_follow_the_definition_away_from_the_threshold(score, a, b):
    gain = (b - a) * score.high * (1 if score.healthier == "higher" else -1)
    near = abs(abs(gain) - score.change_threshold) < 1e-6 * score.high
    expected = 2 if gain >= score.change_threshold else 0 if gain <= -score.change_threshold else 1
    assert near or score.classify(score.change(a * score.high, b * score.high)) == expected


def test_a_change_of_just_the_threshold_counts():
    assert MMSE.classify([-3, -2, -1, 0, 1, 2, 3]).tolist() == [0, 0, 1, 1, 1, 2, 2]
    tenths = Score(name="t", unit="", low=0, high=1, healthier="higher", change_threshold=0.2)
    assert 0.3 - 0.1 < 0.2, "the change below is short of the threshold by rounding alone"
    assert tenths.classify(tenths.change([0.1, 0.3], [0.3, 0.1])).tolist() == [2, 0]


def test_lower_severity_is_better():
    assert SEVERITY.change(3, 1) == 2
    assert SEVERITY.classify(SEVERITY.change([3, 1, 1], [1, 3, 1.5])).tolist() == [2, 0, 1]


def test_a_change_that_is_unknown_has_no_class():
    with pytest.raises(ValueError, match="NaN"):
        SF_RATIO.classify([np.nan, 30])


@pytest.mark.parametrize("score", [SF_RATIO, MMSE, SEVERITY])
def test_plain_values_give_the_same_score_again(score):
    assert Score.from_dict(score.to_dict()) == score


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        ({"healthier": "up"}, "higher or lower"),
        ({"low": 40}, "low .40. must be below high .30."),
        ({"change_threshold": 0}, "above 0"),
        ({"change_threshold": "two"}, "must be a number"),
        ({"high": float("nan")}, "must be a number"),
        ({"name": ""}, "must be text"),
        ({"treshold": 2}, "unknown key 'treshold'"),
    ],
)
def test_a_score_that_makes_no_sense_is_refused(edit, message):
    with pytest.raises(UserError, match=message):
        Score.from_dict(MMSE.to_dict() | edit)


def test_a_score_stated_in_part_says_what_it_lacks():
    with pytest.raises(UserError, match="lacks high"):
        Score.from_dict({k: v for k, v in MMSE.to_dict().items() if k != "high"})

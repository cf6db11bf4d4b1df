"""How far a trial may look, so that the order in which others end does not matter.

With P trials of a search at a time, a trial goes by those whose numbers are smaller by 2 P or more. With P
alone, the longest of the running trials would hold up all others.
"""

from __future__ import annotations


def lag_of(parallel_trials: int) -> int:
    """The lag of a search: 1 for one trial after the other, else twice the trials at a time."""
    return 2 * parallel_trials if parallel_trials > 1 else 1


def trials_before(trial: int, lag: int) -> int:
    """How many trials, from the first on, one may go by: those with numbers up to ``trial - lag``."""
    return max(0, trial - lag + 1)

"""Figure of the importance of hyperparameters."""

from __future__ import annotations

import logging

import matplotlib
import numpy as np
import pandas as pd

from analysis.figures.drawing import PALETTE, STYLE, Drawing, canvas
from analysis.results.names import file_name
from analysis.results.study import StudyResults
from analysis.statistics.importance import complete_trials, parameter_importance

_log = logging.getLogger(__name__)


def importance(study: StudyResults) -> Drawing | None:
    """Draw the importance of hyperparameters for every arm with enough complete trials.

    Returns:
        Bars of both methods, one panel per arm; None where no arm has enough trials.
    """
    if study.trials.empty:
        return None
    frames, arms = [], study.ordered_arms
    for number, arm in enumerate(arms, start=1):
        own = complete_trials(study, arm)
        _log.info("importance: arm %d / %d, %d complete trials", number, len(arms), len(own))
        found = parameter_importance(own)
        if len(found):
            frames.append(
                found.assign(arm=arm, trials=len(own), run_hashes=";".join(own["run_hash"].map(str)))
            )
    if not frames:
        return None
    with matplotlib.rc_context(STYLE):
        figure = canvas(7.5, sum(0.3 * len(f) / 2 + 0.7 for f in frames) + 0.6)
        axes = figure.subplots(len(frames), 1, squeeze=False, sharex=True)[:, 0]
        for axis, frame in zip(axes, frames, strict=True):
            order = frame[frame["method"] == "fANOVA"].sort_values("value")["parameter"].tolist()
            for number, (method, own) in enumerate(frame.groupby("method")):
                y = np.array([order.index(p) for p in own["parameter"]]) + 0.18 * (1 - 2 * number)
                axis.barh(y, own["value"], height=0.34, color=PALETTE[number], label=str(method))
                axis.hlines(y, own["low"], own["high"], color=PALETTE[number + 2], linewidth=2)
            axis.set_yticks(range(len(order)), order)
            arm, trials = frame["arm"].iloc[0], frame["trials"].iloc[0]
            axis.set_title(f"{study.labels.get(arm, arm)} ({trials} complete trials)", fontsize=9, loc="left")
        axes[-1].set_xlabel("share of importance; line: middle 90 % over resampled trials")
        axes[0].legend(fontsize=8)
    return Drawing(
        name=file_name(f"importance-{study.key}"),
        title=f"Importance of hyperparameters (exploratory), {study.title}",
        description="fANOVA beside PED-ANOVA on the complete trials of all folds, each fold centred on its "
        "median. Trials of an adaptive sampler crowd around good values, which biases both.",
        figure=figure,
        data=pd.concat(frames, ignore_index=True),
    )

"""Figures of one study; each is one function from an analysed study to a drawing."""

from __future__ import annotations

import math

import matplotlib
import numpy as np
import pandas as pd

from analysis.cells import cells_of
from analysis.drawing import FAINT, INK, STYLE, Drawing, canvas
from analysis.metrics import CLASSES
from analysis.tables import Analysed, header, ordered_arms, run_hashes


def confusion(analysed: Analysed) -> Drawing:
    """Confusion matrices of all arms, averaged over seeds and repeats: shares of the true class, pairs
    beneath.
    """
    study = analysed.study
    present = set(study.ledger["arm"])
    arms = [arm for arm in ordered_arms(study) if arm in present]
    cells = cells_of(study.ledger, tuple(arms))
    columns = min(4, len(arms))
    rows = math.ceil(len(arms) / columns)
    with matplotlib.rc_context(STYLE):
        figure = canvas(2.3 * columns, 2.4 * rows + 0.4)
        axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
        data = []
        for axis, arm in zip(axes.ravel(), arms, strict=False):
            counts = cells.averaged(cells.index(arm)).sum(0)
            shares = counts / np.maximum(counts.sum(1, keepdims=True), 1e-12)
            axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
            for i, j in np.ndindex(3, 3):
                share, pairs = float(shares[i, j]), float(counts[i, j])
                colour = "white" if share > 0.55 else "#202020"
                text = f"{share:.0%}\n{pairs:.1f}"
                axis.text(j, i, text, ha="center", va="center", fontsize=8, color=colour)
                outcome = {"true": CLASSES[i], "predicted": CLASSES[j], "pairs": pairs, "share": share}
                data.append({"arm": arm, **outcome})
            axis.set_title(study.labels[arm], fontsize=8, color=INK)
            axis.set_xticks(range(3), CLASSES)
            axis.set_yticks(range(3), CLASSES)
            axis.tick_params(length=0)
        for axis in axes.ravel()[len(arms) :]:
            axis.set_axis_off()
        figure.supxlabel("predicted", fontsize=9, color=INK)
        figure.supylabel("true", fontsize=9, color=INK)
        figure.suptitle(header(study), fontsize=9, color=FAINT)
    table = pd.DataFrame(data)
    return Drawing(
        name=f"confusion-{study.key}",
        title=f"Confusion matrices, {study.title}",
        description="Rows are the true class, columns the predicted one; shares of the true class, with the "
        "number of pairs averaged over seeds and repeats.",
        figure=figure,
        data=table.assign(run_hashes=table["arm"].map(run_hashes(study))),
    )

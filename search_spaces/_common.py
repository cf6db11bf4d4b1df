"""What the studies of all modalities share: the paper's three arms, the controls and the space."""

from __future__ import annotations

from collections.abc import Callable

from learner_ray.core.config import SHIFT_FRACTIONS, Config
from learner_ray.study.study import Arm, Suggest

BALANCED = {"loss.weighting": "balanced"}
"""A weight of 1 then is a contrastive term whose gradient is as long as the regression's, for every loss.
At a raw weight of 1 it is 0.01 to 30 times as long, several times more late in training than early, and goes
with the temperature that is searched beside it (docs/strength.md): one raw range would compare strengths, and
one range per loss would hold for one cohort and one temperature."""

PAPER_ARMS = (
    Arm(name="mse", label="MSE", edits={"loss.name": "mse"}),
    Arm(name="contrastive", label="MSE + contrastive", edits={"loss.name": "contrastive", **BALANCED}),
    Arm(
        name="weighted",
        label="MSE + weighted contrastive",
        edits={"loss.name": "contrastive", "loss.weighted": True, **BALANCED},
    ),
)
"""The three arms of Fig. 1 of arXiv 2411.01144."""

LOSS_ARMS = (
    *(
        Arm(name=name, label=f"MSE + {label}", edits={"loss.name": name, **BALANCED})
        for name, label in (
            ("rank_n_contrast", "Rank-N-Contrast"),
            ("y_aware", "y-aware"),
            ("expw", "ExpW"),
            ("adacon", "AdaCon"),
            ("log_ratio", "log-ratio"),
            ("supcon", "SupCon"),
        )
    ),
    # It learns from pairs of one patient, which random batches hardly have.
    Arm(
        name="siamese",
        label="MSE + siamese",
        edits={"loss.name": "siamese", "train.balance": "patient", **BALANCED},
    ),
)
"""Losses a reviewer will ask for."""

CONTROLS = (
    Arm(
        name="majority",
        label="Majority class",
        edits={"progression.input": "nothing", "progression.decision": "argmax"},
        control=True,
    ),
    Arm(
        name="earlier_score",
        label="Earlier score only",
        edits={"progression.input": "earlier_score"},
        control=True,
    ),
    Arm(name="metadata", label="Metadata only", edits={"progression.input": "metadata"}, control=True),
    Arm(
        name="covariates",
        label="Metadata, age, sex, education",
        edits={"progression.input": "covariates"},
        control=True,
    ),
    Arm(name="no_pretraining", label="No pretraining", edits={"loss.name": "none"}, control=True),
    Arm(
        name="shuffled_scores",
        label="Pretrained on shuffled scores",
        edits={"loss.name": "mse", "train.shuffle_scores": True},
        control=True,
    ),
    Arm(
        name="shuffled_labels",
        label="Shuffled progression labels",
        edits={"loss.name": "mse", "progression.shuffle_labels": True},
        control=True,
    ),
    Arm(
        name="score_difference",
        label="Predicted-score difference",
        edits={"loss.name": "mse", "progression.input": "score_difference"},
        control=True,
    ),
)
"""Controls every comparison carries."""

NO_SHIFT = Arm(
    name="no_shift",
    label="MSE, no temporal shift",
    edits={"loss.name": "mse", "encoder.shift_fraction": 0.0},
)

TWO_VIEWS = Arm(name="mse_two_views", label="MSE, two views", edits={"loss.name": "mse", "loss.views": 2})
"""Sees as many images as the losses of two views, and learns from them by regression alone."""

DEFAULT_ARMS = ("mse", "contrastive", "weighted", "majority", "earlier_score")


def space(suggest: Suggest, config: Config) -> None:
    """Learning rate, weight decay and, where the encoder has one, the temporal shift for every arm; then what
    the arm's loss has."""
    suggest.real("train.lr", 3e-4, 3e-3, log=True)
    suggest.real("train.weight_decay", 1e-3, 1e-1, log=True)
    if config.encoder.shifts:
        suggest.choice("encoder.shift_fraction", SHIFT_FRACTIONS)
    name = config.loss.name
    if name != "mse":
        suggest.real("loss.contrastive_weight", 0.1, 10.0, log=True)
    if name in OWN_SETTINGS:
        OWN_SETTINGS[name](suggest)


def _contrastive(suggest: Suggest) -> None:
    suggest.real("loss.margin", 0.02, 0.5, log=True)
    suggest.real("loss.threshold", 0.1, 1.0)


def _rank_n_contrast(suggest: Suggest) -> None:
    suggest.real("loss.temperature", 0.5, 8.0, log=True)


def _kernel(suggest: Suggest) -> None:
    suggest.real("loss.temperature", 0.03, 0.3, log=True)
    suggest.real("loss.bandwidth", 0.2, 2.0, log=True)


def _adacon(suggest: Suggest) -> None:
    suggest.real("loss.temperature", 1 / 500, 1 / 50, log=True)
    suggest.real("loss.threshold", 0.1, 1.0)


def _supcon(suggest: Suggest) -> None:
    suggest.real("loss.temperature", 0.03, 0.3, log=True)
    suggest.choice("loss.bins", (3, 5, 8, 12))


def _siamese(suggest: Suggest) -> None:
    suggest.real("loss.temperature", 0.1, 1.6, log=True)
    suggest.real("loss.boundary", 0.5, 2.0, log=True)


OWN_SETTINGS: dict[str, Callable[[Suggest], None]] = {
    "contrastive": _contrastive,
    "rank_n_contrast": _rank_n_contrast,
    "y_aware": _kernel,
    "expw": _kernel,
    "adacon": _adacon,
    "supcon": _supcon,
    "siamese": _siamese,
}
"""By loss, what is searched of its own settings, in ranges around the published values, or ours where none
are published. These values are the defaults of the losses' ``Config``, and every search begins with them. The
weight beside the regression is searched for all alike and begins with 1, not with a published one
(``LossConfig.published_weight``)."""

"""What the studies of all modalities share: the paper's three arms, the controls and the space."""

from __future__ import annotations

from learner_ray.core.config import SHIFT_FRACTIONS, Config
from learner_ray.study.study import Arm, Suggest

PAPER_ARMS = (
    Arm(name="mse", label="MSE", edits={"loss.name": "mse"}),
    Arm(name="contrastive", label="MSE + contrastive", edits={"loss.name": "contrastive"}),
    Arm(
        name="weighted",
        label="MSE + weighted contrastive",
        edits={"loss.name": "contrastive", "loss.weighted": True},
    ),
)
"""The three arms of Fig. 1 of arXiv 2411.01144."""

LOSS_ARMS = tuple(
    Arm(name=name, label=f"MSE + {label}", edits={"loss.name": name})
    for name, label in (
        ("rank_n_contrast", "Rank-N-Contrast"),
        ("y_aware", "y-aware"),
        ("expw", "ExpW"),
        ("adacon", "AdaCon"),
        ("log_ratio", "log-ratio"),
        ("supcon", "SupCon"),
        ("siamese", "siamese"),
    )
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
    if name == "contrastive":
        suggest.real("loss.margin", 0.02, 0.5, log=True)
        suggest.real("loss.threshold", 0.1, 1.0)
    if name in ("y_aware", "expw", "supcon"):
        suggest.real("loss.temperature", 0.03, 0.3, log=True)
    if name in ("y_aware", "expw"):
        suggest.real("loss.bandwidth", 0.2, 2.0, log=True)

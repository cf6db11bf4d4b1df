"""The configuration of one trial: frozen, keyword-only, validated where it stands.

Every key is reachable by its dotted name (``objective.margin``) from ``--set`` and from search spaces.
Defaults marked [paper] are stated in arXiv 2411.01144; all others are our own choice, since the public
text gives neither equations nor a training recipe.
"""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass, field
from typing import Any, Literal, get_args, get_origin, get_type_hints

from learner_ray.core.errors import UserError

SHIFT_FRACTIONS = (0.0, 1 / 16, 1 / 8, 1 / 4, 1 / 2)


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise UserError(message)


class _Section:
    """A part of the configuration: every number is finite, and no larger than any machine could bear."""

    def _require_possible(self) -> None:
        name = type(self).__name__.removesuffix("Config").lower()
        for field_ in dataclasses.fields(self):  # type: ignore[arg-type]
            key, value = f"{name}.{field_.name}", getattr(self, field_.name)
            if isinstance(value, int | float):
                most = MOST.get(key, math.inf)
                _require(math.isfinite(value), f"{key} must be a finite number, not {value}")
                _require(value <= most, f"{key} must be at most {most}, not {value}")


MOST = {
    "data.image_size": 4096,
    "data.frames": 4096,
    "model.projection_dim": 65_536,
    "objective.bins": 1_000_000,
    "train.epochs": 1_000_000,
    "train.batch_size": 1_000_000,
    "progression.finetune_epochs": 1_000_000,
}
"""By key. Slips of the keyboard, which would otherwise end in the middle of the work."""


@dataclass(frozen=True, kw_only=True)
class DataConfig(_Section):
    """What the encoder is shown of a scan."""

    image_size: int = 64
    """Height and width of a frame in pixels."""
    frames: int = 8
    """Frames per scan (T). A video is cut into T segments; a volume into T slices."""
    augment: float = 1.0
    """Strength of the augmentation: 0 is none, 1 the default ranges."""

    def __post_init__(self) -> None:
        self._require_possible()
        _require(self.image_size >= 32, f"data.image_size must be at least 32, not {self.image_size}")
        _require(self.frames >= 1, f"data.frames must be at least 1, not {self.frames}")
        _require(0 <= self.augment <= 2, f"data.augment must be in 0..2, not {self.augment}")


@dataclass(frozen=True, kw_only=True)
class ModelConfig(_Section):
    """The encoder: a ResNet-18 with the temporal shift [paper]."""

    shift_fraction: float = 0.25
    """Fraction of the channels shifted in time, in total: 1/4 is the TSM paper's, 0 a 2D network."""
    norm: Literal["batch", "partial", "frozen", "group"] = "batch"
    weights: str = "none"
    """``none``, ``imagenet`` (downloaded once, checked by hash) or a path to a ResNet-18 state dict."""
    projection_dim: int = 0
    """Width of a projection head that only the contrastive term sees; 0 is no head."""

    def __post_init__(self) -> None:
        self._require_possible()
        _require(
            0 <= self.shift_fraction <= 1, f"model.shift_fraction must be in 0..1, not {self.shift_fraction}"
        )
        _require(self.projection_dim >= 0, "model.projection_dim must not be negative")


@dataclass(frozen=True, kw_only=True)
class ObjectiveConfig(_Section):
    """What pretraining minimises: ``regression_weight * MSE + contrastive_weight * objective``."""

    name: str = "mse"
    """A name of the registry in ``learner_ray.losses``; ``none`` is no pretraining at all."""
    regression_weight: float = 1.0
    contrastive_weight: float = 1.0
    margin: float = 0.2
    """Cosine margin m: negatives are pushed below a similarity of 1 - m."""
    threshold: float = 0.5
    """Pairs whose scores differ by at most this many training SDs are positives (tau)."""
    weighted: bool = False
    """Weight a negative pair by its score difference, relative to the training set's mean over negatives."""
    temperature: float = 0.0
    """Of the softmax; 0 is the value published for the objective (its ``default_temperature``)."""
    bandwidth: float = 1.0
    """Width of the kernel on scores, in training SDs."""
    bins: int = 5
    """Quantile bins of the training scores that ``supcon`` takes for classes."""
    pairs: Literal["between", "all", "within"] = "between"
    """Which pairs count: of different patients [paper], all, or of one patient."""

    def __post_init__(self) -> None:
        self._require_possible()
        _require(self.regression_weight >= 0, "objective.regression_weight must not be negative")
        _require(self.contrastive_weight >= 0, "objective.contrastive_weight must not be negative")
        _require(0 < self.margin <= 2, f"objective.margin must be in (0, 2], not {self.margin}")
        _require(self.threshold >= 0, "objective.threshold must not be negative")
        _require(self.temperature >= 0, "objective.temperature must not be negative")
        _require(self.bandwidth > 0, "objective.bandwidth must be positive")
        _require(self.bins >= 2, f"objective.bins must be at least 2, not {self.bins}")


@dataclass(frozen=True, kw_only=True)
class TrainConfig(_Section):
    """How pretraining runs."""

    epochs: int = 12
    """Length of the schedule."""
    stop_epoch: int = 0
    """Stop after this epoch of the schedule; 0 is its end. Final runs stop at their trial's best epoch."""
    batch_size: int = 16
    """Scans per step, over all devices."""
    optimizer: Literal["adamw", "sgd"] = "adamw"
    lr: float = 1e-3
    weight_decay: float = 1e-2
    warmup: float = 0.1
    """Fraction of the schedule over which the learning rate rises; it then falls along a cosine."""
    clip: float = 20.0
    """Norm the gradient is clipped to (TSM recipe: 20)."""
    precision: Literal["auto", "float64", "float32", "bfloat16"] = "auto"
    """``auto`` is bfloat16 autocast where the processor has it, else float32. Resolved before hashing.
    float64, slower, tells rounding from a fault: its results do not hang on the number of devices. Pixels
    are standardised and augmented in float32 even so, so that another kind of processor may still differ."""
    balance: Literal["none", "score"] = "none"
    """``score`` fills every batch from all score quantiles: rare scores are seen as often as others."""
    shuffle_scores: bool = False
    """Control: scores are permuted over the training patients before pretraining."""

    def __post_init__(self) -> None:
        self._require_possible()
        _require(self.epochs >= 0, "train.epochs must not be negative")
        _require(0 <= self.stop_epoch <= self.epochs, "train.stop_epoch must be in 0..train.epochs")
        _require(self.batch_size >= 2, "train.batch_size must be at least 2")
        _require(self.lr > 0, "train.lr must be positive")
        _require(self.weight_decay >= 0, "train.weight_decay must not be negative")
        _require(0 <= self.warmup < 1, "train.warmup must be in [0, 1)")
        _require(self.clip > 0, "train.clip must be positive")


@dataclass(frozen=True, kw_only=True)
class ProgressionConfig(_Section):
    """How worse / same / better is read off two visits of one patient."""

    head: Literal["logistic", "ordinal", "mlp"] = "logistic"
    """Multinomial logistic, s = w.d with cut-points -theta and +theta (antisymmetric ordinal), or one hidden
    layer."""
    input: Literal["difference", "both", "score_difference", "earlier_score", "metadata", "nothing"] = (
        "difference"
    )
    """d = u(t+1) - u(t) [paper]; ``both`` is [u(t), d]; ``score_difference`` that of the predicted scores.
    The others are controls that see no scan."""
    decision: Literal["prior", "argmax"] = "prior"
    """Class by p_c / prior_c, or by p_c."""
    patients: Literal["held_out", "same"] = "same"
    """Fit on the patients the encoder was pretrained on, or on some kept out of pretraining. On OASIS-2 and
    the lung phantom, more patients for both outweighed that an encoder remembers the differences of its own
    (measured: docs/log.md, 2026-11-25)."""
    pairs: Literal["consecutive", "ordered"] = "consecutive"
    """Fit on consecutive visits, or on every two visits of a patient in both orders. Testing always uses
    consecutive ones; controls without an encoder always fit on them."""
    judged_by: Literal["kappa", "macro_f1", "balanced_accuracy", "log_loss"] = "kappa"
    """What a search maximises on inner validation pairs: quadratic-weighted kappa, macro-F1, balanced
    accuracy, or minus the log-loss. Replayed searches chose best by kappa (docs/log.md, 2026-11-25)."""
    l2: float = 1.0
    """Ridge penalty of the classifier, relative to its number of inputs."""
    finetune_epochs: int = 0
    """Epochs of end-to-end training of encoder and classifier after the fit, in final runs; 0 leaves the
    encoder as pretrained. A search judges the encoder as pretrained."""
    finetune_lr: float = 1e-4
    shuffle_labels: bool = False
    """Control: classes are permuted over the pairs the classifier is fitted on."""

    def __post_init__(self) -> None:
        self._require_possible()
        _require(self.l2 > 0, "progression.l2 must be positive")
        _require(self.finetune_epochs >= 0, "progression.finetune_epochs must not be negative")
        _require(self.finetune_lr > 0, "progression.finetune_lr must be positive")
        _require(
            not self.finetune_epochs or (self.head != "mlp" and self.input in ("difference", "both")),
            "progression.finetune_epochs needs progression.head logistic or ordinal, "
            "and progression.input difference or both",
        )

    @property
    def uses_encoder(self) -> bool:
        return self.input in ("difference", "both", "score_difference")


@dataclass(frozen=True, kw_only=True)
class Config:
    """All that decides a run's result, apart from the data and the patients it may see."""

    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    progression: ProgressionConfig = field(default_factory=ProgressionConfig)
    seed: int = 0

    def __post_init__(self) -> None:
        _require(isinstance(self.seed, int), f"seed must be a whole number, not {self.seed!r}")

    @property
    def pretrains(self) -> bool:
        """Whether a run of this configuration has any epoch to train."""
        return self.progression.uses_encoder and self.objective.name != "none" and self.train.epochs > 0

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    def to_json(self) -> str:
        """Canonical JSON: equal configurations give equal text."""
        return json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Config:
        return cls().with_values(flatten(values))

    def with_values(self, values: dict[str, Any]) -> Config:
        """A copy with dotted keys replaced.

        Raises:
            UserError: a key is unknown or a value has the wrong type or range.
        """
        sections: dict[str, dict[str, Any]] = {}
        top: dict[str, Any] = {}
        for key, value in values.items():
            checked = _coerce(key, value)
            section, _, name = key.rpartition(".")
            (sections.setdefault(section, {}) if section else top)[name] = checked
        for section, changes in sections.items():
            top[section] = dataclasses.replace(getattr(self, section), **changes)
        return dataclasses.replace(self, **top)


def flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested dictionaries to one with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat.update(
            flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
        )
    return flat


def _key_types() -> dict[str, Any]:
    types: dict[str, Any] = {}
    for name, kind in get_type_hints(Config).items():
        if dataclasses.is_dataclass(kind):
            types.update({f"{name}.{k}": t for k, t in get_type_hints(kind).items()})
        else:
            types[name] = kind
    return types


KEYS: dict[str, Any] = _key_types()
"""Every dotted key and its type."""


def _coerce(key: str, value: Any) -> Any:
    """A value as its key's type; text from the command line is parsed."""
    if key not in KEYS:
        raise UserError(f"unknown configuration key {key!r}; known keys: {', '.join(sorted(KEYS))}")
    kind = KEYS[key]
    if get_origin(kind) is Literal:
        _require(
            value in get_args(kind),
            f"{key} must be one of {', '.join(map(str, get_args(kind)))}, not {value!r}",
        )
        return value
    if kind is bool:
        named = {"true": True, "false": False, True: True, False: False}
        _require(value in named, f"{key} must be true or false, not {value!r}")
        return named[value]
    try:
        number = kind(value)
    except (TypeError, ValueError, OverflowError):
        number = None
    exact = number is not None and (kind is not int or isinstance(value, str) or number == value)
    words = {int: "a whole number", float: "a number", str: "text"}
    _require(exact, f"{key} must be {words[kind]}, not {value!r}")
    return number

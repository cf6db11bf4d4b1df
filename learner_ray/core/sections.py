"""The sections of a configuration: frozen, keyword-only, validated where they stand.

Defaults marked [paper] are stated in arXiv 2411.01144; all others are our own choice, since the public
text gives neither equations nor a training recipe.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

from learner_ray.core.errors import UserError

SHIFT_FRACTIONS = (0.0, 1 / 16, 1 / 8, 1 / 4, 1 / 2)


def require(condition: bool, message: str) -> None:
    """Raises UserError with a message unless a condition holds."""
    if not condition:
        raise UserError(message)


class Section:
    """A part of the configuration: every number is finite, and no larger than any machine could bear."""

    section: ClassVar[str]
    """What its keys begin with."""
    published: ClassVar[Mapping[str, float]] = {}
    """By the name of a field whose 0 stands for the published value, that value: a search begins there."""

    def _require_possible(self) -> None:
        for field_ in dataclasses.fields(self):  # type: ignore[arg-type]
            key, value = f"{self.section}.{field_.name}", getattr(self, field_.name)
            if isinstance(value, int | float):
                most = MOST.get(key, math.inf)
                require(math.isfinite(value), f"{key} must be a finite number, not {value}")
                require(value <= most, f"{key} must be at most {most}, not {value}")


MOST = {
    "data.image_size": 4096,
    "data.frames": 4096,
    "encoder.projection_dim": 65_536,
    "train.epochs": 1_000_000,
    "train.batch_size": 1_000_000,
    "progression.finetune_epochs": 1_000_000,
}
"""Largest value of a key; above it a typing error is assumed, which would otherwise end in the middle of the
work."""


class PixelSettings(NamedTuple):
    """What decides the pixels that are kept of a scan, of all that a configuration says."""

    image_size: int
    """Height and width of a frame in pixels."""
    crop: Literal["columns", "none"] = "columns"
    """How the manifest's column is used."""
    mask: Literal["columns", "none"] = "columns"
    """How the manifest's column is used."""
    levels: Literal["mm", "extent"] = "mm"
    """Where the slices of a volume lie."""
    mm_per_pixel: float = 0.0
    """Size of a pixel in mm; 0 where none is asked for."""


@dataclass(frozen=True, kw_only=True)
class DataConfig(Section):
    """What the encoder is shown of a scan."""

    section: ClassVar[str] = "data"
    image_size: int = 64
    """Height and width of a frame in pixels."""
    frames: int = 8
    """Frames per scan (T). A video is cut into T segments; a volume into T slices."""
    augment: float = 1.0
    """Strength of the augmentation: 0 is none, 1 the default ranges."""
    levels: Literal["mm", "extent"] = "mm"
    """Where the slices of a volume lie: ``mm`` from the top of the head downwards, centred on the head, or
    evenly spaced over the ``extent`` of what is not background, as all volumes without voxel sizes."""
    mm_per_pixel: float = 0.0
    """Size of a pixel in mm, which every scan must then state: volumes of heads and DICOM. 0: a volume shows
    224 mm, and the longer side of everything else fills the frame."""
    crop: Literal["columns", "none"] = "columns"
    """Whether the manifest's column ``crop`` cuts scans (``columns``) or is passed over (``none``)."""
    mask: Literal["columns", "none"] = "columns"
    """Whether the manifest's column ``mask`` blackens what is not to be seen (``columns``), or is passed over
    (``none``)."""

    @property
    def pixels(self) -> PixelSettings:
        """What decides the pixels that are kept of a scan."""
        return PixelSettings(self.image_size, self.crop, self.mask, self.levels, self.mm_per_pixel)

    def __post_init__(self) -> None:
        self._require_possible()
        require(self.image_size >= 32, f"data.image_size must be at least 32, not {self.image_size}")
        require(self.frames >= 1, f"data.frames must be at least 1, not {self.frames}")
        require(0 <= self.augment <= 2, f"data.augment must be in 0..2, not {self.augment}")
        require(self.mm_per_pixel >= 0, f"data.mm_per_pixel must not be negative: {self.mm_per_pixel}")
        require(
            self.levels == "mm" or not self.mm_per_pixel,
            f"data.mm_per_pixel is {self.mm_per_pixel}, which needs data.levels=mm",
        )


@dataclass(frozen=True, kw_only=True)
class EncoderConfig(Section):
    """The backbone, and the heads on it. What else an encoder can be given stands in the dataclass of that
    encoder, which derives from this one."""

    section: ClassVar[str] = "encoder"
    shifts: ClassVar[bool] = True
    """Whether the encoder shifts channels between frames, so that ``shift_fraction`` means something."""
    volumetric: ClassVar[bool] = False
    """Whether the T frames are the slices of a volume to it, in their order."""
    name: str = "tsm_resnet18"
    """The encoder: a ResNet-18 with the temporal shift [paper] unless another is named."""
    shift_fraction: float = 0.25
    """Fraction of the channels shifted in time, in total: 1/4 is the TSM paper's, 0 a 2D network."""
    norm: Literal["batch", "partial", "frozen", "group"] = "batch"
    """Normalisation: of the batch, of its first layer alone (``partial``), constants, or of groups of
    channels."""
    weights: str = "none"
    """``none``, ``imagenet`` (of the ``tsm_`` encoders; downloaded once, checked by hash) or the path of a
    state dict of the encoder."""
    projection_dim: int = 0
    """Width of a projection head that only the contrastive term sees; 0 is no head."""

    def __post_init__(self) -> None:
        self._require_possible()
        require(
            0 <= self.shift_fraction <= 1,
            f"encoder.shift_fraction must be in 0..1, not {self.shift_fraction}",
        )
        require(
            self.shifts or self.shift_fraction == 0,
            f"encoder.shift_fraction is {self.shift_fraction}, but {self.name} shifts nothing between "
            "frames: leave the key out, or set it to 0, for that encoder",
        )
        require(self.projection_dim >= 0, "encoder.projection_dim must not be negative")


@dataclass(frozen=True, kw_only=True)
class LossConfig(Section):
    """What pretraining minimises: ``regression_weight * MSE + contrastive_weight * loss``, the second term
    normalised where ``weighting`` says so. What else a loss can be given stands in the dataclass of that
    loss, which derives from this one."""

    section: ClassVar[str] = "loss"
    published_weight: ClassVar[float | None] = None
    """The raw ``contrastive_weight`` beside a regression of weight 1 that the loss was published with; None
    where it was published without a regression, or with no weight. No search begins there by itself: a
    balanced weight has no counterpart of it, since the two differ by a ratio that changes in every step."""
    name: str = "mse"
    """The loss; ``none`` is no pretraining at all."""
    regression_weight: float = 1.0
    """Weight of the mean squared error of the score."""
    contrastive_weight: float = 1.0
    """Weight of the loss that ``loss.name`` selects."""
    weighting: Literal["raw", "balanced"] = "raw"
    """What ``contrastive_weight`` means: a factor (``raw``), or the ratio of the term's gradient at the
    embedding to that of the weighted regression (``balanced``), which is the same strength for every loss."""
    views: int = 0
    """Augmented views of every scan in a batch, 1 or 2; 0 is the number that the loss was published with."""
    pairs: Literal["between", "all", "within"] = "between"
    """Which pairs count: of different patients [paper], all, or of one patient."""

    def __post_init__(self) -> None:
        self._require_possible()
        require(self.regression_weight >= 0, "loss.regression_weight must not be negative")
        require(self.contrastive_weight >= 0, "loss.contrastive_weight must not be negative")
        require(
            self.views in (0, 1, 2), f"loss.views must be 1 or 2, or 0 for the loss's own, not {self.views}"
        )
        require(
            self.weighting == "raw" or self.regression_weight > 0,
            "loss.weighting=balanced measures the contrastive term by the regression, of which "
            "loss.regression_weight=0 leaves nothing: use loss.weighting=raw, or a positive weight",
        )


@dataclass(frozen=True, kw_only=True)
class TrainConfig(Section):
    """How pretraining runs."""

    section: ClassVar[str] = "train"
    epochs: int = 12
    """Length of the schedule."""
    stop_epoch: int = 0
    """Stop after this epoch of the schedule; 0 is its end. Final runs stop at their trial's best epoch."""
    batch_size: int = 16
    """Scans per step, over all devices."""
    optimizer: Literal["adamw", "sgd"] = "adamw"
    """Optimiser of pretraining; ``sgd`` has a momentum of 0.9."""
    lr: float = 1e-3
    """Learning rate at the end of the warm-up."""
    weight_decay: float = 1e-2
    """Weight decay of weights; biases and normalisation have none."""
    warmup: float = 0.1
    """Fraction of the schedule over which the learning rate rises; it then falls along a cosine."""
    clip: float = 20.0
    """Norm the gradient is clipped to (TSM recipe: 20)."""
    precision: Literal["auto", "float64", "float32", "bfloat16"] = "auto"
    """``auto`` is bfloat16 autocast where the processor has it, else float32. Resolved before hashing.
    float64 is slower and shows whether a difference is rounding: its results do not depend on the number of
    devices. Pixels are standardised and augmented in float32 in any case, so another kind of processor may
    still give other results."""
    deterministic: bool = True
    """Whether the same run on the same kind of device gives the same bits. False lets a GPU choose the
    fastest kernels instead; on a CPU it changes nothing."""
    balance: Literal["none", "score", "patient"] = "none"
    """``score`` fills every batch from all score quantiles: rare scores are seen as often as others.
    ``patient`` shows every scan once per epoch, as ``none`` does, and deals out pairs of scans of one patient
    at different visits: each batch has one to every four scans or more, wherever there are that many."""
    shuffle_scores: bool = False
    """Control: scores are permuted over the training patients before pretraining."""

    def __post_init__(self) -> None:
        self._require_possible()
        require(self.epochs >= 0, "train.epochs must not be negative")
        require(0 <= self.stop_epoch <= self.epochs, "train.stop_epoch must be in 0..train.epochs")
        require(self.batch_size >= 2, "train.batch_size must be at least 2")
        require(self.lr > 0, "train.lr must be positive")
        require(self.weight_decay >= 0, "train.weight_decay must not be negative")
        require(0 <= self.warmup < 1, "train.warmup must be in [0, 1)")
        require(self.clip > 0, "train.clip must be positive")


@dataclass(frozen=True, kw_only=True)
class ProgressionConfig(Section):
    """How worse / same / better is read off two visits of one patient, or whether they got worse."""

    section: ClassVar[str] = "progression"
    endpoint: Literal["progression", "decline"] = "progression"
    """What is predicted of a pair of visits: worse, same or better, or with ``decline`` whether it got worse.
    All arms of a study have one."""
    head: Literal["logistic", "ordinal", "mlp"] = "logistic"
    """Multinomial logistic, s = w.d with cut-points -theta and +theta (antisymmetric ordinal), or one hidden
    layer."""
    input: Literal[
        "difference", "both", "score_difference", "earlier_score", "metadata", "covariates", "nothing"
    ] = "difference"
    """d = u(t+1) - u(t) [paper]; ``both`` is [u(t), d]; ``score_difference`` that of the predicted scores.
    The others are controls that see no scan: ``metadata`` is interval, site and device, ``covariates`` these
    with age, sex and education."""
    decision: Literal["prior", "argmax"] = "prior"
    """Class with the largest p_c / prior_c (``prior``) or the largest p_c (``argmax``)."""
    patients: Literal["held_out", "same"] = "same"
    """Fit on the patients the encoder was pretrained on, or on some kept out of pretraining. On OASIS-2 and
    the lung phantom, more patients for both outweighed that an encoder remembers the differences of its own
    (measured: docs/log.md, 2026-11-25)."""
    pairs: Literal["consecutive", "ordered"] = "consecutive"
    """Fit on consecutive visits, or on every two visits of a patient in both orders. Testing always uses
    consecutive ones; controls without an encoder always fit on them."""
    selection_metric: str = "kappa"
    """What a search maximises on inner validation pairs: ``kappa`` (quadratic-weighted), ``macro_f1``,
    ``balanced_accuracy``, ``log_loss`` (minus it), or one's own. Replayed searches chose best by kappa
    (docs/log.md, 2026-11-25)."""
    l2: float = 1.0
    """Ridge penalty of the classifier, relative to its number of inputs."""
    finetune_epochs: int = 0
    """Epochs of end-to-end training of encoder and classifier after the fit, in final runs; 0 leaves the
    encoder as pretrained. The trials of a search are judged without it."""
    finetune_lr: float = 1e-4
    """Learning rate of the end-to-end training."""
    shuffle_labels: bool = False
    """Control: classes are permuted over the pairs the classifier is fitted on."""

    def __post_init__(self) -> None:
        self._require_possible()
        require(self.l2 > 0, "progression.l2 must be positive")
        require(self.finetune_epochs >= 0, "progression.finetune_epochs must not be negative")
        require(self.finetune_lr > 0, "progression.finetune_lr must be positive")
        require(
            self.endpoint == "progression" or self.head != "ordinal",
            "progression.head=ordinal orders worse, same and better: progression.endpoint=decline has two "
            "classes and needs logistic or mlp",
        )
        require(
            not self.finetune_epochs or (self.head != "mlp" and self.input in ("difference", "both")),
            "progression.finetune_epochs needs progression.head logistic or ordinal, "
            "and progression.input difference or both",
        )

    @property
    def classes(self) -> int:
        """How many classes there are: worse, same and better, or worse and not worse."""
        return 2 if self.endpoint == "decline" else 3

    @property
    def uses_encoder(self) -> bool:
        """Whether the classifier sees anything that an encoder computes."""
        return self.input in ("difference", "both", "score_difference")

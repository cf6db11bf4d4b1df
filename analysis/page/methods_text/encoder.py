"""Methods: what the encoder is shown, what it is, and how it is pretrained."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from analysis.page.methods_text.record import Paragraph, StudyRecord, joined, sentence, words

VARIED: dict[str, str] = {
    "rotation_degrees": "rotation up to {:.3g} degrees",
    "scale": "size up to {:.3g} %",
    "translation": "shift up to {:.3g} % of width and height",
    "gain": "brightness up to {:.3g} %",
    "midtone": "midtones up to {:.3g} %",
    "noise": "noise with an SD of {:.3g} % of the scan's",
}
"""What augmentation varies, at a strength of 1; all but degrees are recorded as shares."""
NORMS = {
    "batch": "batch normalisation",
    "partial": "partial batch normalisation",
    "frozen": "constants instead of batch normalisation",
    "group": "group normalisation",
}
BALANCES = {
    "none": "every scan once per epoch, in random order",
    "score": "all quantiles of the score alike in every batch",
    "patient": "every scan once per epoch, with pairs of scans of one patient at different visits in every "
    "batch",
}
UNSTOPPED = "the last"
UNSHIFTED = "0 (no temporal shift)"
OPTIMISERS = {"adamw": "AdamW", "sgd": "stochastic gradient descent"}


def _as(names: dict[str, str]) -> Callable[[Any], str]:
    """Write a value by its name in words, or as it is where it has none."""
    return lambda value: names.get(value, words(value)) if isinstance(value, str) else words(value)


def _or_none(none: Any, text: str) -> Callable[[Any], str]:
    """Write a value, and a text for the one that stands for nothing."""
    return lambda value: text if value == none else words(value)


def shown(record: StudyRecord) -> Paragraph:
    """The frames of a scan, their grey values, and augmentation."""
    arms = record.with_encoder
    if not arms:
        return Paragraph("Input", record.no_arm("saw a scan"))
    frames = ("methods", "practice", "frames")
    return Paragraph(
        "Input",
        joined(
            sentence(
                "Frames shown of a scan: {frames}{training}{evaluation}.",
                frames=record.across("data.frames", arms),
                training=sentence("; in training, {which}", which=record.get(*frames, "training")),
                evaluation=sentence("; in evaluation, {which}", which=record.get(*frames, "evaluation")),
            ),
            sentence(
                "A frame had {size} pixels in height and width{geometry}.",
                size=record.across("data.image_size", arms),
                geometry=sentence(", {how}", how=record.get(*frames, "geometry")),
            ),
            _in_mm(record),
            _regions(record),
            sentence("Grey values were {grey}.", grey=record.get(*frames, "grey_values")),
            _augmentation(record),
        ),
    )


def _in_mm(record: StudyRecord) -> str:
    """Where the slices of volumes lay and what a pixel showed; nothing of studies that knew no mm."""
    where = {
        "mm": "at equal distances in mm from the top of the head downwards, centred on the head",
        "extent": "evenly spaced over the extent of what was not background",
    }
    arms = record.with_encoder
    levels = record.across("data.levels", arms, lambda value: where.get(value, words(value)))
    size = record.across("data.mm_per_pixel", arms, _or_none(0, "0 (none was asked for)"))
    if levels is None or size is None:
        return ""
    return sentence(
        "Slices of volumes lay {levels}; size of a pixel in mm: {size}.", levels=levels, size=size
    )


def _regions(record: StudyRecord) -> str:
    """Whether the manifest's crops and masks were applied; nothing of studies that knew neither."""
    applied = {"columns": "applied where the manifest gives any", "none": "passed over"}
    crop, mask = (
        record.across(key, record.with_encoder, lambda value: applied.get(value, words(value)))
        for key in ("data.crop", "data.mask")
    )
    if crop is None or mask is None:
        return ""
    return sentence("Crops were {crop}, masks {mask}.", crop=crop, mask=mask)


def _augmentation(record: StudyRecord) -> str:
    strength = record.across("data.augment", record.pretrained, _or_none(0, "0 (none)"))
    ranges = record.get("methods", "practice", "augmentation")
    varied = [
        text.format(ranges[key] if key == "rotation_degrees" else 100 * ranges[key])
        for key, text in VARIED.items()
        if isinstance(ranges, dict) and isinstance(ranges.get(key), int | float)
    ]
    mirror = record.get("methods", "practice", "augmentation", "mirror")
    if strength in (None, "0 (none)"):
        return sentence("Augmentation had the strength {strength}.", strength=strength)
    varied += [words(mirror)] if mirror else []
    return joined(
        sentence("Training scans were augmented with a strength of {strength}.", strength=strength),
        sentence(
            "The ranges at a strength of 1{frames}: {varied}.",
            frames=sentence(", {how}", how=record.get("methods", "practice", "augmentation", "frames")),
            varied="; ".join(varied),
        ),
    )


def encoder(record: StudyRecord) -> Paragraph:
    """Architecture, temporal shift, normalisation, starting weights and projection head."""
    arms, practice = record.with_encoder, ("methods", "practice", "encoder")
    if not arms:
        return Paragraph("Encoder", record.no_arm("had an encoder"))
    known = record.get("methods", "components", "encoders")
    described = [
        words(of["text"]) for of in (known or {}).values() if isinstance(of, dict) and of.get("text")
    ]
    norm = record.across("encoder.norm", arms, _as(NORMS)) or ""
    shift = record.across("encoder.shift_fraction", arms, _or_none(0, UNSHIFTED))
    how = record.get(*practice, "shift") if shift not in (None, UNSHIFTED) else None
    return Paragraph(
        "Encoder",
        joined(
            sentence(
                "The encoder was {name}{described}.",
                name=record.across("encoder.name", arms),
                described="".join(f" ({text})" for text in described),
            ),
            sentence("Share of the channels that were shifted in time: {shift}.", shift=shift),
            sentence("Of shifted channels, {how}.", how=how),
            sentence(
                "Normalisation: {norm}{groups}{partial}.",
                norm=norm or None,
                groups=f", of {words(record.get(*practice, 'groups'))} groups of channels"
                if "group" in norm
                else "",
                partial=f", {words(record.get(*practice, 'partial_norm'))}" if "partial" in norm else "",
            ),
            sentence(
                "Starting weights: {weights}.",
                weights=record.across(
                    "encoder.weights", arms, _or_none("none", "none, drawn at random from the seed")
                ),
            ),
            sentence(
                "Projection head for the contrastive term: {head}.",
                head=record.across(
                    "encoder.projection_dim",
                    arms,
                    lambda width: "none" if width == 0 else f"two layers with {words(width)} outputs",
                ),
            ),
        ),
    )


def training(record: StudyRecord) -> Paragraph:
    """Optimiser, learning rate, batches, length and precision of pretraining."""
    arms, practice = record.pretrained, ("methods", "practice", "training")
    if not arms:
        return Paragraph("Pretraining", record.no_arm("was pretrained"))
    optimiser = record.across("train.optimizer", arms, _as(OPTIMISERS))
    momentum = record.get(*practice, "sgd_momentum")
    shuffled = [arm.label for arm in arms if record.setting(arm, "train.shuffle_scores").value is True]
    factors = {
        words(arm.get("label")): arm["epochs_factor"]
        for arm in record.get("arms") or ()
        if "epochs_factor" in arm
    }
    return Paragraph(
        "Pretraining",
        joined(
            sentence(
                "Optimiser: {optimiser}{momentum}; weight decay: {decay}{decayed}.",
                optimiser=optimiser,
                momentum=f" with a momentum of {words(momentum)}"
                if momentum and "stochastic" in str(optimiser)
                else "",
                decay=record.across("train.weight_decay", arms),
                decayed=sentence("; it falls on {what}", what=record.get(*practice, "decayed")),
            ),
            sentence(
                "Learning rate: {rate}; share of the schedule for the warm-up: {warmup}.",
                rate=record.across("train.lr", arms),
                warmup=record.across("train.warmup", arms),
            ),
            sentence("The rate {schedule}.", schedule=record.get(*practice, "schedule")),
            sentence("Epochs of the schedule: {epochs}.", epochs=record.across("train.epochs", arms)),
            sentence("Epoch after which training ended before the schedule did: {stop}.", stop=_stop(record)),
            sentence("Times as long as the other arms trained: {factors}.", factors=factors or None),
            sentence(
                "Scans per batch, over all devices: {size}; dealt out: {balance}.",
                size=record.across("train.batch_size", arms),
                balance=record.across("train.balance", arms, _as(BALANCES)),
            ),
            sentence("Gradients were clipped to a norm of {clip}.", clip=record.across("train.clip", arms)),
            sentence(
                "Precision: {precision}; bit-for-bit repeatable on one kind of device: {deterministic}.",
                precision=record.across("train.precision", arms),
                deterministic=record.across("train.deterministic", arms),
            ),
            sentence(
                "Scores were permuted over training patients before pretraining in: {arms}.",
                arms=shuffled or None,
            ),
        ),
    )


def _stop(record: StudyRecord) -> str | None:
    stops = record.across("train.stop_epoch", record.pretrained, _or_none(0, UNSTOPPED))
    return None if stops == UNSTOPPED else stops

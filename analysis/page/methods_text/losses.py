"""Methods: what pretraining minimised, arm by arm."""

from __future__ import annotations

from typing import Any

from analysis.page.methods_text.record import Paragraph, Record, joined, sentence, words
from analysis.results.names import printable
from analysis.results.study import DeclaredArm

COMMON = ("name", "regression_weight", "contrastive_weight", "weighting", "views", "pairs")
"""Settings that every loss has; all others are a loss's own."""
PAIRS = {"between": "of different patients", "all": "of all scans", "within": "of one patient"}
BALANCED = "balanced"


def losses(record: Record) -> Paragraph:
    """The regression that all pretrained arms share, the term of each, and what weights mean."""
    arms = record.pretrained
    practice = ("methods", "practice", "training")
    balanced = [arm for arm in arms if record.setting(arm, "loss.weighting").value == BALANCED and _has_term(record, arm)]
    untrained = [
        arm.label
        for arm in record.study.arms
        if record.get("methods", "configurations", arm.name, "pretrains") is False
    ]
    return Paragraph(
        "Loss",
        joined(
            sentence(
                "Pretrained arms regressed the score, {score}, by {head} and the mean squared error, with a "
                "weight of {weight}; to it they added the following.",
                score=record.get(*practice, "score"),
                head=record.get(*practice, "score_head"),
                weight=record.across("loss.regression_weight", arms),
            ),
            *(_of_arm(record, arm) for arm in arms),
            sentence(
                "A balanced weight (used in {arms}) is the ratio of the contrastive gradient at the embedding to "
                "that of the weighted regression, over running means of both that keep {decay} per step; the term was multiplied by "
                "at most {largest}.",
                arms=", ".join(printable(arm.label) for arm in balanced),
                decay=record.get(*practice, "balanced_decay"),
                largest=record.get(*practice, "balanced_largest"),
            )
            if balanced
            else "",
            sentence("Arms without pretraining: {untrained}.", untrained=untrained or None),
        ),
    )


def _has_term(record: Record, arm: DeclaredArm) -> bool:
    return record.setting(arm, "loss.name").value != "mse"


def _of_arm(record: Record, arm: DeclaredArm) -> str:
    """What an arm minimised beside the regression."""

    def value(name: str) -> Any:
        return record.setting(arm, f"loss.{name}").value

    loss, views = value("name"), _views(value("views"))
    if loss is None:
        return sentence("{arm}: loss not recorded.", arm=arm.label)
    if not _has_term(record, arm):
        return sentence("{arm}: nothing ({views}).", arm=arm.label, views=views)
    pairs = value("pairs")
    return sentence(
        "{arm}: {loss}{described}; weight {weight}, {weighting}; {views}; pairs {pairs}{own}.",
        arm=arm.label,
        loss=loss,
        described=_described(record, str(loss)),
        weight=_value(record, arm, "loss.contrastive_weight"),
        weighting=value("weighting"),
        views=views,
        pairs=PAIRS.get(str(pairs), pairs),
        own=_own(record, arm),
    )


def _views(views: Any) -> str | None:
    if views is None:
        return None
    if views == 0:
        return "as many views of each scan as the loss was published with"
    return f"{words(views)} view{'' if views == 1 else 's'} of each scan"


def _value(record: Record, arm: DeclaredArm, key: str) -> str | None:
    """One arm's value of a key, and whether a search chose it."""
    return record.across(key, [arm])


def _described(record: Record, loss: str) -> str:
    known = record.get("methods", "components", "losses", loss)
    if not known:
        return ""
    parts = [words(known[key]) for key in ("text", "formula", "where") if known.get(key)]
    source = f"; source: {words(known['source'])}" if known.get("source") else ""
    return f" ({'; '.join(parts)}{source})"


def _own(record: Record, arm: DeclaredArm) -> str:
    """The settings that only the arm's loss has, those included that a search adds."""
    keys = [key for key in record.values[arm.name] if key.startswith("loss.")]
    keys += [key for key in arm.searched if key.startswith("loss.") and key not in keys]
    own = [key for key in keys if key.removeprefix("loss.") not in COMMON]
    said = [f"{key.removeprefix('loss.')} {_value(record, arm, key) or words(None)}" for key in own]
    return f"; {', '.join(map(printable, said))}" if said else ""

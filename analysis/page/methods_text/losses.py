"""Methods: what pretraining minimised, arm by arm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from analysis.page.methods_text.record import UNKNOWN, Paragraph, StudyRecord, joined, sentence, words
from analysis.results.names import printable
from analysis.results.study import DeclaredArm

COMMON = ("name", "regression_weight", "contrastive_weight", "weighting", "views", "pairs")
"""Settings that every loss has; all others are a loss's own."""
PAIRS = {"between": "of different patients", "all": "of all scans", "within": "of one patient"}
BALANCED = "balanced"


def losses(record: StudyRecord) -> Paragraph:
    """The regression that all pretrained arms share, the term of each, and what weights mean."""
    untrained = [
        arm.label
        for arm in record.study.arms
        if record.get("methods", "configurations", arm.name, "pretrains") is False
    ]
    return Paragraph(
        "Loss",
        joined(
            _minimised(record, record.pretrained) if record.pretrained else "",
            sentence("Arms without pretraining: {untrained}.", untrained=untrained or None),
        ),
    )


def _minimised(record: StudyRecord, arms: Sequence[DeclaredArm]) -> str:
    practice = ("methods", "practice", "training")
    return joined(
        sentence(
            "Pretraining minimised the mean squared error of the score with a weight of {weight}, and the "
            "term of the arm.",
            weight=record.across("loss.regression_weight", arms),
        ),
        sentence("The score was {scaled}.", scaled=record.get(*practice, "score")),
        sentence("It was predicted by {head}.", head=record.get(*practice, "score_head")),
        *(_of_arm(record, arm) for arm in arms),
        _balanced(record, arms),
    )


def _balanced(record: StudyRecord, arms: Sequence[DeclaredArm]) -> str:
    """What a balanced weight is, where an arm has one."""
    practice = ("methods", "practice", "training")
    balanced = [
        arm.label
        for arm in arms
        if record.setting(arm, "loss.weighting").value == BALANCED and _has_term(record, arm)
    ]
    if not balanced:
        return ""
    return sentence(
        "A balanced weight ({arms}) is the ratio of two gradients at the embedding, the weighted term's to "
        "the weighted regression's{details}.",
        arms=balanced,
        details=sentence(
            ", over running means of both that keep {decay} per step; the term was multiplied by at most "
            "{largest}",
            decay=record.get(*practice, "balanced_decay"),
            largest=record.get(*practice, "balanced_largest"),
        ),
    )


def terms(record: StudyRecord) -> Paragraph:
    """What each loss is, once for all arms that have it."""
    names = [
        str(record.setting(arm, "loss.name").value) for arm in record.pretrained if _has_term(record, arm)
    ]
    return Paragraph("Loss terms", joined(*(_described(record, name) for name in dict.fromkeys(names))))


def _has_term(record: StudyRecord, arm: DeclaredArm) -> bool:
    return bool(record.setting(arm, "loss.name").value != "mse")


def _of_arm(record: StudyRecord, arm: DeclaredArm) -> str:
    """What an arm minimised beside the regression."""

    def value(name: str) -> Any:
        return record.setting(arm, f"loss.{name}").value

    loss, views = value("name"), _views(value("views"))
    if loss is None:
        return sentence("{arm}: loss not recorded.", arm=arm.label)
    if not _has_term(record, arm):
        return sentence("{arm}: no further term; {views}.", arm=arm.label, views=views)
    pairs = record.get("methods", "components", "losses", str(loss), "pairs") or value("pairs")
    return sentence(
        "{arm}: {loss}, weight {weight}, {weighting}; {views}; pairs {pairs}{own}.",
        arm=arm.label,
        loss=loss,
        weight=record.across("loss.contrastive_weight", [arm]),
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


def _described(record: StudyRecord, loss: str) -> str:
    """What a loss is: in words, as a formula, its settings and its source."""
    known = record.get("methods", "components", "losses", loss)
    if not isinstance(known, Mapping):
        return ""
    formula = ", ".join(words(known[key]) for key in ("formula", "where") if known.get(key))
    meanings = known.get("settings")
    settings = [
        f"{words(name)} ({words(text)})"
        for name, text in (meanings.items() if isinstance(meanings, Mapping) else ())
    ]
    return joined(
        sentence("{loss}: {text}.", loss=loss, text=known.get("text")),
        sentence("Formula: {formula}.", formula=formula),
        sentence("Settings: {settings}.", settings=settings or None),
        sentence("Source: {source}.", source=known.get("source")),
    )


def _own(record: StudyRecord, arm: DeclaredArm) -> str:
    """The settings that only the arm's loss has, those included that a search adds."""
    keys = dict.fromkeys(key for key in (*record.values[arm.name], *arm.searched) if key.startswith("loss."))
    own = [key for key in keys if key.removeprefix("loss.") not in COMMON]
    return "".join(
        f"; {printable(key.removeprefix('loss.'))} {record.across(key, [arm]) or UNKNOWN}" for key in own
    )

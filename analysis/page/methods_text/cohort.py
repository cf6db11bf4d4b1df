"""Methods: the data, the outcome, and who trains, validates and is tested."""

from __future__ import annotations

from typing import Any

from analysis.page.methods_text.record import (
    Paragraph,
    StudyRecord,
    between,
    counted,
    joined,
    sentence,
    words,
)
from analysis.results.endpoints import DECLINE, PROGRESSION

LISTED = 10
"""The most omissions that are named one by one."""


def short(digest: Any) -> str | None:
    """Write the beginning of a hash; None where there is none."""
    return None if digest is None else str(digest)[:12]


def data(record: StudyRecord) -> Paragraph:
    """Where the data come from, how many there are, and what was left out of them."""
    classes = record.get("cohort", "class_counts")
    kind = {True: "a synthetic (phantom) cohort, ", False: ""}.get(record.get("cohort", "phantom"))
    covariates = record.get("cohort", "covariates") or {}
    known = {str(name).replace("_", " "): n for name, n in covariates.items()}
    return Paragraph(
        "Data",
        joined(
            sentence(
                "The study used {kind}{name} (content hash {hash}): {patients}, {visits}, {scans}.",
                kind=kind or "",
                name=record.get("cohort", "name"),
                hash=short(record.get("cohort", "hash")),
                patients=counted(record.get("cohort", "patients"), "patient"),
                visits=counted(record.get("cohort", "visits"), "visit"),
                scans=counted(record.get("cohort", "scans"), "scan"),
            ),
            sentence("They were read in the layout {format}.", format=record.get("source", "format")),
            sentence(
                "{with_pairs} had two or more visits with a score and formed {pairs}{classes}.",
                with_pairs=counted(record.get("cohort", "patients_with_pairs"), "patient"),
                pairs=counted(record.get("cohort", "pairs"), "progression pair"),
                classes=f" ({' / '.join(map(words, classes))} worse / same / better)" if classes else "",
            ),
            sentence("Pairs of which a covariate is known: {known}.", known=known or None),
            _left_out(record),
        ),
    )


def _left_out(record: StudyRecord) -> str:
    left_out, codes = record.get("left_out"), record.get("source", "missing")
    said = []
    if isinstance(left_out, list):
        more = len(left_out) - LISTED
        listed = "; ".join(map(words, left_out[:LISTED])) + (f"; and {more} more" if more > 0 else "")
        said.append(
            sentence("Left out: {listed}.", listed=listed)
            if left_out
            else sentence("{nothing} was left out.", nothing="No scan or visit")
        )
    said.append(sentence("These codes stood for a missing score: {codes}.", codes=codes or None))
    if record.get("allow_duplicates"):
        said.append(sentence("Files of equal content were {allowed}.", allowed="kept on purpose"))
    return joined(*said)


_CLASSES = {
    PROGRESSION: "Its class is better or worse where the {score} changed by {threshold} or more, and same "
    "otherwise; {healthier} values are healthier.",
    DECLINE: "Its class is worse where the {score} got worse by {threshold} or more, and not worse "
    "otherwise; {healthier} values are healthier.",
}
"""The outcome in a sentence, by endpoint; studies of before endpoints have that of three classes."""


def outcome(record: StudyRecord) -> Paragraph:
    """What a progression pair is and how its class follows from the scores."""
    order = {True: "two consecutive visits", False: "two neighbouring scans, with no sequence in time,"}
    low, high = (record.get("cohort", "score", end) for end in ("low", "high"))
    unit = record.get("cohort", "score", "unit")
    threshold = record.get("cohort", "score", "change_threshold")
    return Paragraph(
        "Outcome",
        joined(
            sentence(
                "A progression pair is {two} of one patient.", two=order.get(record.get("cohort", "temporal"))
            ),
            sentence("The endpoint is {endpoint}.", endpoint=record.get("endpoint")),
            sentence(
                _CLASSES.get(str(record.get("endpoint")), _CLASSES[PROGRESSION]),
                score=record.get("cohort", "score", "name"),
                threshold=None
                if threshold is None
                else joined(words(threshold), words(unit) if unit else ""),
                healthier=record.get("cohort", "score", "healthier"),
            ),
            sentence("The score ranges from {low} to {high}.", low=low, high=high),
            sentence(
                "Visits of one patient less than {days} apart count as retests of the score.",
                days=counted(record.get("retest_days"), "day"),
            ),
        ),
    )


def partitions(record: StudyRecord) -> Paragraph:
    """Outer folds and repeats, and the inner division that searches are judged on."""
    sizes = {
        role: {what: between(record.get("methods", "inner", role, what)) for what in ("patients", "pairs")}
        for role in ("test", "final", "trial", "validation")
    }
    places, file = record.get("places"), record.get("splits_file", "from")
    return Paragraph(
        "Partitions",
        joined(
            sentence(
                "Protocol: {protocol}, with patients as the unit of partition; {folds}, {repeats}.",
                protocol=record.get("protocol"),
                folds=counted(record.get("folds"), "fold"),
                repeats=counted(record.get("repeats"), "repeat"),
            ),
            sentence(
                "Test patients were assigned by {rule}.",
                rule=record.get("methods", "inner", "test_dealt_by") or record.get("division"),
            ),
            sentence(
                "All arms shared the partition (seed {seed}, hash {hash}).",
                seed=record.get("seed"),
                hash=short(record.get("split_hash")),
            ),
            sentence("The folds leave out, one by one: {places}.", places=places or None),
            sentence("The partition was read from {file}.", file=file),
            sentence(
                "A fold tests {test} patients ({test_pairs} pairs) and trains on {final} ({final_pairs} "
                "pairs).",
                test=sizes["test"]["patients"],
                test_pairs=sizes["test"]["pairs"],
                final=sizes["final"]["patients"],
                final_pairs=sizes["final"]["pairs"],
            ),
            _inner(record, sizes) if record.searched else "",
        ),
    )


def _inner(record: StudyRecord, sizes: dict[str, dict[str, str | None]]) -> str:
    """The inner division, which only a search uses."""
    rule = record.get("methods", "inner", "dealt_by")
    if rule is None:
        return ""
    return sentence(
        "For the search its training patients were divided{rule} into {parts}: {held_out} validated "
        "every "
        "trial ({validation} patients, {validation_pairs} pairs), the others trained it ({trial} patients, "
        "{trial_pairs} pairs). This inner division is a single hold-out, not a cross-validation.",
        rule=sentence(
            " by {rule}",
            rule="the same rule" if rule == record.get("methods", "inner", "test_dealt_by") else rule,
        ),
        parts=counted(record.get("methods", "inner", "parts"), "part"),
        held_out=record.get("methods", "inner", "validation_parts"),
        validation=sizes["validation"]["patients"],
        validation_pairs=sizes["validation"]["pairs"],
        trial=sizes["trial"]["patients"],
        trial_pairs=sizes["trial"]["pairs"],
    )

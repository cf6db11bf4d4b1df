"""Methods: what is tested by which rule, how large the study was planned, and what is known of the rule."""

from __future__ import annotations

from collections.abc import Mapping
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
from analysis.results.endpoints import DECLINE
from analysis.statistics.metrics import METRICS
from analysis.statistics.rule import ANALYSIS

NOISE = {
    "patient": "difficulty of a patient",
    "pair": "difficulty of a pair",
    "arm_patient": "an arm's reading of a patient",
    "arm_pair": "an arm's reading of a pair",
    "partition": "a training set",
    "run": "a run's skill",
    "run_bias": "a run's leaning to a class",
    "run_pair": "a run's reading of a pair",
    "study": "an arm's luck in the whole study",
}
"""What the standard deviations of the simulated studies stand for, in the order they are written."""
CONDITIONS = {"patients": "patient", "folds": "fold", "repeats": "repeat", "seeds": "seed", "arms": "arm"}
"""One of what the sizes of the simulated studies count, by their names in the record."""


def percent(share: Any) -> str:
    """Write a share as a percentage."""
    return f"{100 * share:.3g} %" if isinstance(share, int | float) else words(share)


def hypothesis(record: StudyRecord) -> Paragraph:
    """The frozen question: metric, reference, family, alpha, looks and version of the rule."""
    metric, family = record.get("primary_metric"), record.get("frozen", "family")
    names = record.study.labels
    rule = record.get("frozen", "analysis")
    applied = f"; this report applies version {ANALYSIS}" if rule not in (None, ANALYSIS) else ""
    amendments = record.get("amendments")
    return Paragraph(
        "Hypotheses",
        joined(
            sentence(
                "The primary metric was {metric} and the reference {reference}.",
                metric=METRICS[metric].label if metric in METRICS.built_in else metric,
                reference=names.get(str(record.get("reference")), record.get("reference")),
            ),
            sentence(
                "Before the first final run the protocol was frozen ({date}, code {commit}): tested against "
                "the reference were {family}, at a two-sided alpha of {alpha} adjusted over this family, "
                "with {looks} at the results.",
                date=str(record.get("frozen", "date") or "")[:10] or None,
                commit=record.get("frozen", "commit"),
                family=[names.get(str(arm), str(arm)) for arm in family] or "no arms"
                if family is not None
                else None,
                alpha=record.get("frozen", "alpha"),
                looks=counted(record.get("frozen", "looks"), "look"),
            ),
            sentence("Version of the decision rule: {rule}{applied}.", rule=rule, applied=applied),
            sentence(
                "Amendments since: {count}.", count=len(amendments) if isinstance(amendments, list) else None
            ),
            sentence("Margin of equivalence declared: {margin}.", margin=record.get("equivalence_margin")),
        ),
    )


def sample_size(record: StudyRecord) -> Paragraph:
    """The minimum detectable difference that was worked out at the start, and its assumptions."""
    plan = ("frozen", "sample_size")
    if not isinstance(record.get(*plan), Mapping):
        nobody = "No arm" if record.get("frozen", "family") == [] else None
        text = "{nobody} was compared with the reference, so there was no sample size to work out."
        return Paragraph("Sample size", sentence(text, nobody=nobody))
    shares = record.get(*plan, "class_shares")
    noise = record.get(*plan, "noise")
    return Paragraph(
        "Sample size",
        joined(
            _detectable(record),
            sentence(
                "Assumed: {patients} with pairs, {pairs}, classes {classes} (worse / same / better); "
                "{folds}, {repeats} and {seeds} per arm and fold; {arms} compared, of which one differs; "
                "alpha shared among {looks}.",
                patients=counted(record.get(*plan, "patients"), "patient"),
                pairs=counted(record.get(*plan, "pairs"), "pair"),
                classes=" / ".join(map(percent, shares)) if isinstance(shares, list) else None,
                folds=counted(record.get(*plan, "folds"), "fold"),
                repeats=counted(record.get(*plan, "repeats"), "repeat"),
                seeds=counted(record.get(*plan, "seeds"), "seed"),
                arms=counted(record.get(*plan, "arms_compared"), "arm"),
                looks=counted(record.get(*plan, "looks"), "look"),
            ),
            sentence(
                "Standard deviations on the logit of a class ({origin}): {noise}.",
                origin=record.get(*plan, "noise_from"),
                noise=_noise(noise),
            ),
        ),
    )


def _detectable(record: StudyRecord) -> str:
    plan = ("frozen", "sample_size")
    common = {
        "metric": record.get(*plan, "metric"),
        "power": percent(record.get(*plan, "power")),
        "studies": record.get(*plan, "simulated_studies"),
    }
    if record.get(*plan, "known") is False:
        return sentence(
            "What difference in {metric} such a study can find is not known.", metric=common["metric"]
        )
    if "difference" not in record.get(*plan) or record.get(*plan, "known") is None:
        return ""
    difference = record.get(*plan, "difference")
    if difference is None:
        return sentence(
            "At the start no difference in {metric} was found that {power} of such studies would call "
            "supported ({studies} simulated studies per effect, through the decision rule, Holm included).",
            **common,
        )
    return sentence(
        "Minimum detectable difference, worked out at the start: {difference} of {metric}, which {power} of "
        "such studies call supported ({studies} simulated studies per effect, through the decision rule, "
        "Holm included).",
        difference=f"{difference:+.2g}" if isinstance(difference, int | float) else difference,
        **common,
    )


def _noise(noise: Any) -> str | None:
    if not isinstance(noise, Mapping):
        return None
    known = [f"{text} {words(noise[key])}" for key, text in NOISE.items() if noise.get(key)]
    shares = [f"{key} in {percent(noise[key])} of runs" for key in ("collapse", "failed") if noise.get(key)]
    return ", ".join([*known, *shares]) or None


def calibration(record: StudyRecord) -> Paragraph:
    """The conditions under which error and coverage of the rule were measured; is the study like them?"""
    found = ("frozen", "calibration")
    if not isinstance(record.get(*found), Mapping):
        return Paragraph("Calibration of the rule", "")
    return Paragraph(
        "Calibration of the rule",
        joined(
            sentence(
                "By simulation ({script}, {conditions} conditions with equally good arms, {studies} studies "
                "each, on {metric}) 95 % intervals covered the true difference in {coverage} of studies, "
                "and an arm was called supported in {supported}; of families of {arms} arms any was in "
                "{any_} ({family_studies} studies each).",
                script=record.get(*found, "measured_by"),
                conditions=record.get(*found, "conditions"),
                studies=record.get(*found, "studies"),
                metric=record.get(*found, "metric"),
                coverage=between(record.get(*found, "coverage"), percent),
                supported=between(record.get(*found, "supported"), percent),
                arms=between(record.get(*found, "families", "arms")),
                any_=between(record.get(*found, "families", "any_supported"), percent),
                family_studies=record.get(*found, "families", "studies"),
            ),
            sentence(
                "The conditions had {patients}, {folds}, {repeats}, {seeds}, {arms} compared and no class "
                "rarer than {rarest}; they varied {varied}.",
                **{
                    name: counted(between(record.get(*found, name)), noun)
                    for name, noun in CONDITIONS.items()
                },
                rarest=_rarest(record),
                varied=record.get(*found, "varied"),
            ),
            _likeness(record),
            sentence(
                "The error is not held for {what}: there {supported} of equally good arms were called "
                "supported.",
                what=record.get(*found, "not_held", "what"),
                supported=between(record.get(*found, "not_held", "supported"), percent),
            ),
        ),
    )


def _rarest(record: StudyRecord) -> str | None:
    rarest = record.get("frozen", "calibration", "smallest_class")
    return None if rarest is None else percent(rarest)


def _likeness(record: StudyRecord) -> str:
    """In what the study lies outside the conditions of the simulation."""
    family, counts = record.get("frozen", "family"), record.get("cohort", "class_counts")
    if counts and record.study.endpoint == DECLINE:
        counts = [counts[0], sum(counts[1:])]
    own = {
        "patients": record.get("cohort", "patients_with_pairs"),
        **{name: record.get(name) for name in ("folds", "repeats", "seeds")},
        "arms": len(family) if isinstance(family, list) and family else None,
    }
    outside = []
    for name, value in own.items():
        limits = record.get("frozen", "calibration", name)
        if isinstance(value, int) and isinstance(limits, list) and not limits[0] <= value <= limits[-1]:
            outside.append(counted(value, CONDITIONS[name]))
    rarest = record.get("frozen", "calibration", "smallest_class")
    if counts and sum(counts) and isinstance(rarest, float) and min(counts) / sum(counts) < rarest:
        outside.append(f"a class of {percent(min(counts) / sum(counts))}")
    if outside:
        return sentence("This study lies outside them: {outside}.", outside=outside)
    if None in own.values():
        return ""
    return sentence(
        "This study, with {own}, lies within them.",
        own=[counted(value, CONDITIONS[name]) for name, value in own.items()],
    )


def defaults(record: StudyRecord) -> Paragraph:
    """Which of the package's defaults were chosen on this very cohort."""
    found = record.get("methods", "defaults")
    choices = found.get("choices") if isinstance(found, Mapping) else None
    if not choices:
        return Paragraph("Package defaults", "")
    by_patients: dict[str, list[str]] = {}
    for choice in choices:
        keys = f" ({words(choice['keys'])})" if choice.get("keys") else ""
        said = f"{words(choice.get('what'))}{keys}, log of {words(choice.get('log'))}"
        by_patients.setdefault(words(choice.get("patients")), []).append(said)
    return Paragraph(
        "Package defaults",
        joined(
            sentence(
                "Defaults of the package that this study uses were chosen on this very cohort ({cohort}, "
                "recognised by {by}): the study is no independent confirmation of them.",
                cohort=found.get("cohort"),
                by=found.get("recognised_by"),
            ),
            *(
                sentence(
                    "Chosen by results on its {patients}: {what}.", patients=patients, what="; ".join(what)
                )
                for patients, what in by_patients.items()
            ),
        ),
    )

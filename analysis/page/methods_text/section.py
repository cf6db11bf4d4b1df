"""The Methods section: all paragraphs of every study, and one on what the report itself computed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from analysis.page.measurement import measurement_methods
from analysis.page.methods_text.cohort import data, outcome, partitions
from analysis.page.methods_text.encoder import encoder, shown, training
from analysis.page.methods_text.inference import calibration, defaults, hypothesis, sample_size
from analysis.page.methods_text.losses import losses, terms
from analysis.page.methods_text.record import Paragraph, StudyRecord, joined, sentence
from analysis.page.methods_text.selection import classifier, final_runs, search
from analysis.page.subgroups import subgroup_methods
from analysis.results.study import StudyResults
from analysis.statistics.rule import ANALYSIS
from analysis.statistics.study_statistics import StudyStatistics
from analysis.tables.main_table import margins

TOPICS = (
    data,
    outcome,
    partitions,
    shown,
    encoder,
    losses,
    terms,
    training,
    classifier,
    search,
    final_runs,
    hypothesis,
    sample_size,
    calibration,
    defaults,
)
"""The paragraphs of a study, in the order of a paper."""
EXPECTED_EMPTY = ("Package defaults", "Loss terms")
"""Topics of which nothing is said where there is nothing to say, though the record is complete."""


class Methods(NamedTuple):
    """The paragraphs of one study, or of what is common to all."""

    title: str
    paragraphs: list[Paragraph]

    @property
    def text(self) -> str:
        """The paragraphs without their topics, one a line."""
        return "\n".join(paragraph.text for paragraph in self.paragraphs)


def methods(statistics: Sequence[StudyStatistics]) -> list[Methods]:
    """Write the Methods section from what the studies recorded and from what this report computed."""
    found = [Methods(item.study.title, study_methods(item.study)) for item in statistics]
    common = [
        Paragraph("Statistics", statistics_methods(statistics)),
        Paragraph("Measurement", measurement_methods(statistics)),
        Paragraph("Subgroups", subgroup_methods(statistics)),
    ]
    return [*found, Methods("Analysis", [paragraph for paragraph in common if paragraph.text])]


def study_methods(study: StudyResults) -> list[Paragraph]:
    """Write the paragraphs of one study; the last names the topics of which nothing was recorded."""
    record = StudyRecord(study)
    found = [*(topic(record) for topic in TOPICS), software(record)]
    missing = [p.topic.lower() for p in found if not p.text and p.topic not in EXPECTED_EMPTY]
    if record.get("methods") is None:
        missing.append("what versions do beside the configuration (inner division, frames, schedule)")
    if record.get("frozen") is None:
        missing.append("a frozen protocol")
    if record.get("methods", "defaults") is None:
        missing.append("whether package defaults were chosen on this cohort")
    gap = Paragraph("Not recorded", f"{', '.join(missing)}.".capitalize() if missing else "")
    return [paragraph for paragraph in (*found, gap) if paragraph.text]


def software(record: StudyRecord) -> Paragraph:
    """Versions, hardware, and what repeats the study."""
    return Paragraph(
        "Software",
        joined(
            sentence("Versions: {versions}.", versions=record.get("versions") or None),
            sentence(
                "Code {commit}, numerics {numerics}; profile {profile}; threads per run {threads}; on "
                "{hardware}.",
                commit=record.get("git_sha"),
                numerics=record.get("numerics"),
                profile=record.get("profile"),
                threads=record.get("threads"),
                hardware=record.get("hardware") or None,
            ),
            sentence("Values given by the user: {given}.", given=record.get("set") or None),
            sentence("The command {command} repeats the study.", command=record.get("command")),
        ),
    )


def statistics_methods(statistics: Sequence[StudyStatistics]) -> str:
    """Write what this report computed, and by which sources; nothing of what it had no data for."""
    compared = any(len(item.study.compared) for item in statistics)
    tested = any(len(item.comparison.tests) for item in statistics)
    ranked = any(len(table) for item in statistics for table in (item.spearman, item.distance))
    said = []
    if compared:
        said.append(
            "Metrics were computed from confusion matrices averaged over seeds and repeats; the F1 of a "
            "class that "
            "nobody has or predicts counts as 0. Their 95 % intervals come from a t statistic whose "
            "variance is "
            "the delete-one-patient jackknife (Efron and Stein 1981) plus the variance of training, as "
            "seeds, folds and repeats show it, with Satterthwaite's (1946) degrees of freedom."
        )
    if tested:
        said.append(
            f"Differences were tested by the same statistic (version {ANALYSIS} of the rule), p adjusted "
            f"by Holm "
            "(1979) over the declared arms of each study; arms of one family have at least the training "
            "variance that the family shows on average. The target is encoders trained like these on parts "
            "of the same cohort; "
            "encoders trained on another cohort would vary more."
        )
    if tested and (within := margins(statistics)):
        said.append(
            f"Probabilities of practical equivalence ({within}) are those of the same t statistic with a "
            f"flat prior."
        )
    if ranked:
        said.append(
            "Spearman correlations are ranked within each final run, in every draw anew, and averaged by "
            "Fisher's z weighted by rows; their intervals are percentile intervals of a patient-cluster "
            f"bootstrap ({statistics[0].draws:,} draws; Field and Welsh 2007)."
        )
    if compared and len(statistics) > 1:
        said.append("Studies were analysed one by one and never pooled.")
    return " ".join(said)

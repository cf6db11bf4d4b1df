"""The frozen protocol of a study in words: what was declared, what was changed, and every look."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pandas as pd

from analysis.results.protocol import Amendment
from analysis.results.run_columns import run_hashes
from analysis.results.study import StudyResults
from analysis.statistics.cap import CONFIGURATION_ONLY
from analysis.statistics.metrics import METRICS
from analysis.statistics.standing import Standing
from analysis.statistics.study_statistics import StudyStatistics
from analysis.tables.captions import header, row_label, run_cautions
from analysis.tables.table import Table, both_p, interval_text, panel_of

NOT_FROZEN = "protocol not frozen (study begun by an older version)"
PLANNED = ("patients", "pairs", "arms", "folds", "repeats", "seeds", "final_runs", "trials")
"""The sizes that are frozen, in the order they are said; trials are those of each search."""
WORDS = {
    "primary_metric": "primary metric",
    "primary_metric_definition": "definition of the primary metric",
    "equivalence_margin": "margin of equivalence",
    "retest_days": "days between retests",
    "threshold": "class threshold",
    "analysis": "analysis version",
}

HASH = re.compile("[0-9a-f]{64}")


def freeze_note(statistics: StudyStatistics) -> str:
    """Say in one line what was frozen when, how it was amended and which look this is: for a footnote."""
    study, standing = statistics.study, statistics.standing
    protocol = study.protocol
    if not protocol.frozen:
        return f"{study.title}: {NOT_FROZEN}."
    parts = [f"protocol frozen {_day(protocol.frozen.get('date'))} ({_question(study)})"]
    count = len(protocol.amendments)
    parts.append(f"{count} amendment{'' if count == 1 else 's'}")
    if standing.numbers:
        parts.append(f"look {max(standing.numbers.values())} of {standing.looks_declared} declared")
    parts.append(f"a verdict is supported at Holm p up to {standing.alpha:.3g}")
    return f"{study.title}: {'; '.join(parts)}."


def freeze_cautions(statistics: StudyStatistics) -> list[str]:
    """Say what takes away from a study's verdicts, and what was amended; no sentences where nothing was."""
    study = statistics.study
    before = [] if study.protocol.frozen else [f"{study.title}: {NOT_FROZEN}."]
    amended = [f"{study.title}: amended {_amended(a)}." for a in study.protocol.amendments]
    return [*before, *_caps(statistics), *amended]


def _caps(statistics: StudyStatistics) -> list[str]:
    """What takes away from verdicts, in sentences."""
    study, standing = statistics.study, statistics.standing
    found = []
    if standing.exploratory and len(statistics.comparison.tests):
        found.append(f"{study.title}: exploratory, not confirmatory: {_by_reason(study, standing)}.")
    for why in dict.fromkeys(standing.configuration.values()):
        found.append(f"{study.title}: verdicts are {CONFIGURATION_ONLY}, not of a loss: {why}.")
    if standing.unrecorded:
        found.append(
            f"{study.title}: this look could not be recorded ({standing.unrecorded}); it counts all the same."
        )
    return found


def _by_reason(study: StudyResults, standing: Standing) -> str:
    """The reasons why verdicts are exploratory, each with its arms where it is not of all."""
    arms: dict[str, list[str]] = {}
    for arm, reasons in standing.exploratory.items():
        for reason in reasons:
            arms.setdefault(reason, []).append(study.labels.get(arm, arm))
    return "; ".join(
        reason if len(named) == len(study.family) else f"{reason} ({', '.join(named)})"
        for reason, named in arms.items()
    )


def protocol_lines(statistics: StudyStatistics) -> list[str]:
    """The section of the page: what was frozen, each amendment, each look, and studies that share runs."""
    study, standing = statistics.study, statistics.standing
    protocol, frozen = study.protocol, study.protocol.frozen
    lines = []
    if frozen:
        sizes = frozen.get("planned") or {}
        planned = ", ".join(_counted(sizes[name], name) for name in PLANNED if name in sizes)
        lines.append(
            f"Frozen {_moment(frozen.get('date'))} at the first start, code "
            f"{frozen.get('commit') or 'not recorded'}: {_question(study)}; class threshold "
            f"{frozen.get('threshold')}; analysis version {frozen.get('analysis')}; planned: {planned}."
        )
        lines.append(
            f"Looks declared: {standing.looks_declared}. A look is a verdict on results that were not seen "
            f"before; each tests at {standing.alpha:.3g}, and those beyond are exploratory."
        )
    else:
        lines.append(f"The {NOT_FROZEN}: what was decided before the results were known is not recorded.")
    if protocol.extended_before:
        lines.append(
            f"Extended {protocol.extended_before} times by an older version, which did not record what the "
            "results were then."
        )
    lines += [f"Amended {_amended(amendment)}." for amendment in protocol.amendments]
    if not protocol.amendments and frozen:
        lines.append("No amendments.")
    lines += _looks(study, standing)
    for sibling in standing.siblings:
        begun = f"frozen {_moment(sibling.frozen_at)}" if sibling.frozen_at else "by an older version"
        kind = "a copy of this study" if sibling.is_copy else begun
        if sibling.shared:
            lines.append(
                f"{sibling.folder.name} ({kind}) shares {sibling.shared} final runs with this study. Of "
                "studies that share runs, only the one frozen first can support anything."
            )
        else:
            lines.append(
                f"{sibling.folder.name} ({kind}) is another study of this cohort, with runs of its own; its "
                "verdicts are a family of their own."
            )
    return lines + _caps(statistics)


def _looks(study: StudyResults, standing: Standing) -> list[str]:
    """One line per recorded look, and one for a look that is not recorded yet."""
    lines = []
    for number, look in enumerate(standing.looks, start=1):
        words = ", ".join(f"{study.labels.get(arm, arm)}: {word}" for arm, word in look.verdicts.items())
        lines.append(f"Look {number}, {_moment(look.date)}, analysis version {look.analysis}: {words}.")
    now = standing.look
    if now and not standing.unrecorded and all(look.arms != now.arms for look in standing.looks):
        lines.append(f"Look {len(lines) + 1}, {_moment(now.date)}: this one.")
    return lines


def frozen_table(statistics: Sequence[StudyStatistics]) -> Table | None:
    """Table the comparison that was declared beside the amended one; None where no study asks for another."""
    panels, frames, cautions = [], [], []
    for item in statistics:
        if item.as_frozen is None or item.as_frozen.tests.empty:
            continue
        study, declared = item.study, item.study.protocol.declared
        name = str(declared("primary_metric"))
        data = item.as_frozen.tests
        frames.append(data.assign(study=study.key, run_hashes=data["arm"].map(run_hashes(study))))
        rows = [(row_label(study, row["arm"]), _frozen_cells(row)) for _, row in data.iterrows()]
        label = METRICS[name].label if name in METRICS else name
        columns = [f"Difference of {label} [95 % CI]", "p (Holm)", "Verdict"]
        reference = study.labels.get(str(declared("reference")), str(declared("reference")))
        panels.append((f"{header(study)}; as frozen: {label}, reference {reference}", (rows, columns)))
        cautions += [*run_cautions(study), *freeze_cautions(item)]
    if not panels:
        return None
    return Table(
        name="frozen", title="As the protocol was frozen", data=pd.concat(frames, ignore_index=True),
        panels=[(head, panel_of(rows, columns)) for head, (rows, columns) in panels], cautions=cautions,
        notes=["The primary metric or the reference was changed later: the main table has the new ones."],
    )  # fmt: skip


def _frozen_cells(row: pd.Series[Any]) -> list[str]:
    return [interval_text(row, "difference", sign="+"), both_p(row), str(row["verdict"])]


def _question(study: StudyResults) -> str:
    """What was declared to be tested: metric, reference and arms."""
    frozen = study.protocol.frozen
    family = [study.labels.get(str(arm), str(arm)) for arm in frozen.get("family") or ()]
    reference = str(frozen.get("reference"))
    return (
        f"primary metric {frozen.get('primary_metric')}, reference {study.labels.get(reference, reference)}, "
        f"tested: {', '.join(family) or 'none'}"
    )


def _amended(amendment: Amendment) -> str:
    """``2026-11-27 15:02 UTC, when there were 6 final runs: seeds from 1 to 2``."""
    changes = "; ".join(
        f"{WORDS.get(c.what, c.what)} from {_value(c.before)} to {_value(c.after)}" for c in amendment.changes
    )
    runs = amendment.final_runs
    return f"{_moment(amendment.date)}, when there were {runs} final runs: {changes}"


def _value(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    text = "not declared" if value is None else str(value)
    return text[:12] if HASH.fullmatch(text) else text


def _counted(number: object, name: str) -> str:
    """``1 repeat``, ``60 final runs``."""
    word = name.replace("_", " ")
    return f"{number} {word.removesuffix('s') if number == 1 else word}"


def _day(date: object) -> str:
    return str(date)[:10]


def _moment(date: object) -> str:
    """A date of a record to the minute: ``2026-11-27 15:02 UTC``."""
    return f"{str(date)[:16].replace('T', ' ')} UTC"

"""What stands behind a study's verdicts besides its numbers: the frozen protocol, the looks, the search.

A verdict is confirmatory where its question was fixed before its answer could be known, and where the looks
at the answer are within those declared. It is of a loss where every arm was searched in every fold: of one
search the luck is common to all folds, and a setting picked by hand is that setting.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from analysis.results.looks import Look, look_number, new_look, read_looks, seen_rows
from analysis.results.siblings import Sibling, siblings
from analysis.results.study import StudyResults
from analysis.statistics.rule import ANALYSIS
from analysis.statistics.verdict import alpha_per_look

DEFINITION = "primary_metric_definition"
"""Key of study.json that tells one version of a metric of the user's own from another."""
LEAST_TRIALS = 2
"""With fewer a search chooses nothing."""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What stands behind a study's verdicts besides its numbers."""

    alpha: float
    """A difference is supported where its Holm p is at most this: 0.05 over the looks declared."""
    exploratory: Mapping[str, tuple[str, ...]]
    """Why the verdict on an arm is exploratory; only of arms of which it is."""
    configuration: Mapping[str, str]
    """Why the verdict on an arm is of its configuration only; only of arms of which it is."""
    numbers: Mapping[str, int]
    """How often different results of each tested arm have been looked at, this look included; empty where the
    protocol is not frozen or nothing is tested."""
    looks_declared: int
    look: Look | None
    """The look that is being taken; None where the protocol is not frozen or nothing is tested."""
    looks: tuple[Look, ...]
    """The looks that are recorded already, this one among them if it is."""
    siblings: tuple[Sibling, ...]
    """Other studies of the results root that share final runs with this one."""
    unrecorded: str = ""
    """Why this look could not be recorded; empty where it could."""

    def may_look_again(self, arm: str) -> bool:
        """Whether more runs of an arm could still lead to a verdict that counts."""
        return arm not in self.exploratory and not (
            self.numbers and self.numbers.get(arm, 0) >= self.looks_declared
        )


def standing_of(study: StudyResults, definition: str = "") -> Standing:
    """Gather what stands behind a study's verdicts. Writes nothing.

    Args:
        study: as ``load`` gives it.
        definition: of the primary metric that verdicts are computed by (``report_metric.definition``); empty
            where it is not known.
    """
    protocol, ledger = study.protocol, study.compared
    present = set(ledger["arm"])
    tested = [arm for arm in study.family if arm in present and study.reference in present]
    own = ledger[ledger["arm"].isin([study.reference, *tested])]
    shared = siblings(study.folder, study.info, own["run_hash"])
    looks = read_looks([study.folder, *(sibling.folder for sibling in shared if sibling.is_copy)])
    look, numbers = None, dict[str, int]()
    if protocol.frozen and tested and not study.withheld:
        look = new_look(seen_rows(own, study.reference, tested), ANALYSIS)
        # A table that was printed was a look, even if its file could not be written or is gone.
        least = 1 + protocol.tables_before
        numbers = {arm: max(least, look_number(arm, looks, look)) for arm in tested}
    known = protocol.known_runs & set(own["run_hash"])
    everywhere = tuple(_reasons(study, definition, len(known), shared))
    reasons = {arm: (*everywhere, *_reasons_of_arm(study, arm, numbers.get(arm, 0))) for arm in study.family}
    return Standing(
        alpha=alpha_per_look(protocol.looks),
        exploratory={arm: why for arm, why in reasons.items() if why},
        configuration={arm: why for arm in study.family if (why := _one_configuration(study, arm))},
        numbers=numbers,
        looks_declared=protocol.looks,
        look=look,
        looks=tuple(looks),
        siblings=tuple(shared),
    )


def _reasons(study: StudyResults, definition: str, known: int, shared: Sequence[Sibling]) -> Iterator[str]:
    """Why every verdict of a study is exploratory."""
    protocol = study.protocol
    if protocol.altered:
        yield "study.json was changed by hand"
    if not protocol.frozen:
        # What older versions changed left no trace; what this one changes of their studies does.
        seen = [amendment.final_runs for amendment in protocol.amendments if amendment.final_runs]
        if seen:
            yield f"changed after {seen[0]} final runs"
        return
    live = {"primary_metric": study.primary_metric, "reference": study.reference}
    for what, value in live.items():
        if value != protocol.declared(what):
            yield f"changed after {protocol.runs_at_change(what)} final runs"
    if runs := protocol.changed(DEFINITION, study.info.get(DEFINITION)):
        yield f"primary metric defined anew after {runs} final runs"
    elif definition and study.info.get(DEFINITION, definition) != definition:
        yield "primary metric defined anew since the study ran"
    if known:
        yield f"{known} final runs known before the freeze"
    for sibling in shared:
        begun_before = bool(sibling.frozen_at) and sibling.frozen_at <= str(protocol.frozen.get("date"))
        if sibling.shared and begun_before and not sibling.is_copy:
            yield f"{sibling.shared} final runs shared with {sibling.folder.name}, begun before"


def _reasons_of_arm(study: StudyResults, arm: str, number: int) -> Iterator[str]:
    """Why the verdict on one arm is exploratory."""
    protocol = study.protocol
    # Another reference makes another family; that it is another was said already.
    if protocol.frozen and arm not in {*protocol.family, protocol.declared("reference")}:
        yield f"added after {protocol.runs_at_change('family')} final runs"
    if number > protocol.looks:
        yield f"look {number} of {protocol.looks}"


def _one_configuration(study: StudyResults, arm: str) -> str:
    """Why a difference is of the very configurations that were compared; empty where it is of the arms."""
    info = study.info
    if not str(info.get("protocol", "")).lower().startswith("nested") or info.get("development"):
        return "the search saw one fold, and its luck is common to all"
    if info.get("fixed_at"):
        return "nothing was searched: all arms are at a setting that was chosen for one"
    trials = info.get("trials")
    if trials is not None and trials < LEAST_TRIALS:
        return "nothing was searched: the settings were picked by hand"
    recorded = {values["name"]: values.get("searched") for values in info["arms"]}
    for name in (arm, study.reference):
        if recorded.get(name) == []:
            return f"nothing was searched for {study.labels.get(name, name)}"
    return ""

"""One study as its results folder tells it: what it declared, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.results.endpoints import CLASSES, PROGRESSION
from analysis.results.final_runs import common_rows, count_runs, rows_of_runs
from analysis.results.names import printable
from analysis.results.parquet_tables import (
    AUDIT_COLUMNS,
    FINAL_COLUMNS,
    LEDGER_COLUMNS,
    PERMUTATION_COLUMNS,
    RATING_COLUMNS,
)
from analysis.results.protocol import Protocol, protocol_of


@dataclass(frozen=True, kw_only=True)
class DeclaredArm:
    """One variant of the ablation, as the study declared it."""

    name: str
    label: str
    control: bool = False
    edits: dict[str, Any] = field(default_factory=dict)
    """What differs from the base configuration, by dotted key."""
    searched: tuple[str, ...] = ()
    """Dotted keys that the arm's search chose."""


@dataclass(frozen=True, kw_only=True)
class StudyResults:
    """One results folder: what was declared (``info`` is study.json) and what came of it."""

    key: str
    """Name of the study, unique among those loaded together."""
    folder: Path
    info: dict[str, Any]
    arms: tuple[DeclaredArm, ...]
    ledger: pd.DataFrame
    """One row per final run and test pair, with the predicted class in ``y_pred``. ``imputed`` marks the rows
    of a run that failed or diverged: the majority class of its training patients stands there."""
    trials: pd.DataFrame
    """One row per trial of a search, with the parameters in columns ``config.*``."""
    scores: pd.DataFrame
    """One row per final run and test scan: its score and the predicted one, both in the score's unit."""
    audits: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=[*AUDIT_COLUMNS]))
    """One row per selected trial that was trained again on its own patients under another seed."""
    finals: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=[*FINAL_COLUMNS]))
    """One row per final run that has ended: how, and why where it failed."""
    permutations: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=[*PERMUTATION_COLUMNS]))
    """One row per final run with shuffled labels and permutation: what its test pairs were called."""
    external: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=[*LEDGER_COLUMNS]))
    """One row per final run and pair of the external cohort, where the study has one; as the ledger."""
    external_with_earlier_score: pd.DataFrame = field(default_factory=pd.DataFrame)
    """Likewise of arms that are combined with the earlier score, as ``with_earlier_score``."""
    ratings: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=[*RATING_COLUMNS]))
    """One row per scan that was scored by itself, where several of a visit were."""
    with_earlier_score: pd.DataFrame = field(default_factory=pd.DataFrame)
    """Rows like the ledger's of arms that are combined with the earlier score, named ``ARM + earlier score``;
    none where older versions trained the runs."""
    problems: tuple[str, ...] = ()
    """What is wrong with the folder, in sentences; the report prints each."""
    damaged: bool = False
    """Whether a file of the folder is there but cannot be used as it is."""
    spoilt: bool = False
    """Whether rows of the ledger had to be left out."""

    def recorded(self, *keys: str) -> Any:
        """The value below some keys of study.json; None where there is none."""
        value: Any = self.info
        for key in keys:
            value = value.get(key) if isinstance(value, Mapping) else None
        return value

    @property
    def searched_nothing(self) -> bool:
        """Whether it is known that no arm had a search. An older study.json did not name what arms searched:
        there it is known only of a study without trials."""
        arms = self.info.get("arms") or ()
        known = self.info.get("trials") == 0 or (arms and all("searched" in arm for arm in arms))
        return bool(self.info.get("fixed_at") or (known and not any(arm.searched for arm in self.arms)))

    @property
    def modality(self) -> str:
        """The modality in capitals: ``LUS``."""
        return str(self.info.get("modality") or "unknown").upper()

    @property
    def cohort(self) -> dict[str, Any]:
        """What study.json says of the cohort: name, hash, score, sizes."""
        return dict(self.info.get("cohort") or {})

    @property
    def reference(self) -> str:
        """Name of the arm that the others are compared with."""
        return str(self.info.get("reference") or "mse")

    @property
    def primary_metric(self) -> str:
        """Name of the metric that verdicts are about."""
        return str(self.info.get("primary_metric") or "macro_f1")

    @property
    def selection_metric(self) -> str:
        """Name of the metric by which the search selected; empty where a study without a choice wrote it."""
        progression = (self.info.get("base") or {}).get("progression") or {}
        before = "log_loss" if "log" in str(self.info.get("selection_metric", "")) else ""
        return str(progression.get("selection_metric", before))

    @property
    def endpoint(self) -> str:
        """What is predicted of a pair: ``progression`` (worse, same, better), ``decline`` or ``change``."""
        return str(self.info.get("endpoint") or PROGRESSION)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of their numbers."""
        return CLASSES[self.endpoint]

    def sizes(self, ledger: pd.DataFrame) -> str:
        """Patients, pairs and classes of a ledger: ``20 patients, 60 pairs; worse/same/better 20/21/19``."""
        pairs = ledger.drop_duplicates(["patient", "pair"])
        counts = "/".join(str(int((pairs["y_true"] == c).sum())) for c in range(len(self.classes)))
        patients = pairs["patient"].nunique()
        return f"{patients} patients, {len(pairs)} pairs; {'/'.join(self.classes)} {counts}"

    @property
    def numerics(self) -> int:
        """The number of what the study's version computed from a configuration; raised when that changed. A
        study.json that names none is of the first."""
        return int(self.info.get("numerics") or 1)

    @property
    def labels(self) -> dict[str, str]:
        """How each arm is called in tables, by its name."""
        return {arm.name: arm.label for arm in self.arms}

    @property
    def ordered_arms(self) -> list[str]:
        """Names of the arms as declared, controls last."""
        return [a.name for a in self.arms if not a.control] + [a.name for a in self.arms if a.control]

    @cached_property
    def protocol(self) -> Protocol:
        """What was frozen at the first start, and what was changed afterwards."""
        return protocol_of(self.info)

    @property
    def family(self) -> tuple[str, ...]:
        """Arms tested against the reference: those that were declared when the protocol was frozen, whether
        or not they are still there, and those that came later. So it never shrinks."""
        tested = [*self.protocol.family, *(arm.name for arm in self.arms if not arm.control)]
        return tuple(dict.fromkeys(name for name in tested if name != self.reference))

    def control_seeing(self, inputs: str) -> str:
        """Name the first arm whose classifier has some inputs (``progression.input``), such as the earlier
        score alone; empty where none with such inputs has a final run."""
        present = set(self.compared["arm"])
        named = (arm.name for arm in self.arms if arm.edits.get("progression.input") == inputs)
        return next((name for name in named if name in present), "")

    @cached_property
    def runs(self) -> pd.DataFrame:
        """Final runs by arm: ``final_runs`` (ended), ``imputed_runs`` of these, ``missing_runs``."""
        return count_runs(self.info, self.labels, self.ledger)

    @cached_property
    def compared(self) -> pd.DataFrame:
        """The rows of the ledger that every statistic is made of: those of pairs that all arms have predicted
        in the same final run."""
        return common_rows(self.ledger)

    @cached_property
    def compared_scores(self) -> pd.DataFrame:
        """The rows of the scores that belong to the same final runs."""
        return rows_of_runs(self.scores, self.compared)

    @property
    def unfinished(self) -> bool:
        """Whether a declared final run is not in the ledger."""
        return bool((self.runs["missing_runs"] > 0).any())

    @property
    def withheld(self) -> str:
        """Why there are no verdicts: the study is unfinished or its ledger damaged; empty where there are."""
        ended, missing = self.runs["final_runs"].sum(), self.runs["missing_runs"].sum()
        if self.spoilt:
            return "rows of the ledger are damaged"
        if self.unfinished:
            return f"unfinished, {ended} of {ended + missing} final runs are in the ledger"
        return ""

    @property
    def cautions(self) -> tuple[str, ...]:
        """What every table and figure must carry: phantom, not temporal, not nested, unfinished, damaged."""
        protocol = str(self.info.get("protocol", "not recorded")).lower()
        found = []
        if self.cohort.get("phantom"):
            found.append("phantom")
        if self.cohort.get("temporal") is False or "not temporal" in protocol:
            found.append("not temporal")
        if not protocol.startswith("nested"):
            found.append("not nested")
        if self.withheld and len(self.ledger):
            found.append("damaged" if self.spoilt else "unfinished")
        return tuple(found)

    @property
    def title(self) -> str:
        """The study's name and its cautions."""
        return ", ".join([self.name, *self._unsaid])

    @property
    def name(self) -> str:
        """The modality, with the name of the study's folder where that says more."""
        alike = self.key.upper() == self.modality
        return printable(self.modality if alike else f"{self.modality} {self.key}")

    @property
    def _unsaid(self) -> list[str]:
        """Cautions, but for the one that the name holds already: folders are called ``lus-phantom``."""
        return [caution for caution in self.cautions if caution != "phantom" or caution not in self.name]

    def header(self, facts: str) -> str:
        """The title with some facts after the name: ``LUS (189 patients), phantom``."""
        return ", ".join([f"{self.name} ({facts})", *self._unsaid])

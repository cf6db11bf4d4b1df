"""Pseudonyms in the place of what earlier versions wrote for patients and visits.

A run's own files never change. Those of earlier versions name a patient by a hash whose key everyone knows,
and a visit as the manifest does, which may be its date. The tables that are derived from them are written
under pseudonyms and ranks, so that every patient has one name in a ledger.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import pandas as pd

from learner_ray.cohort import Cohort
from learner_ray.cohort.pseudonyms import former_pseudonym
from learner_ray.core.errors import UserError
from learner_ray.training.predictions import hidden_pairs


class Relabelling:
    """Puts a cohort's pseudonyms into the tables of its runs.

    Args:
        cohort: whose patients the tables are of.
    """

    def __init__(self, cohort: Cohort) -> None:
        self._cohort = cohort

    def now(self, table: pd.DataFrame, path: Path) -> pd.DataFrame:
        """A run's table under the names of this version: the columns patient, and pair, visit and scan where
        it has them.

        Args:
            table: as it was read.
            path: its file, for the message.

        Raises:
            UserError: a patient of the table has neither a pseudonym of the cohort nor the hash of an earlier
                version, and could so have two names in a ledger.
        """
        before = table["patient"].isin(list(self._patients))
        unknown = set(table.loc[~before, "patient"]) - set(self._patients.values())
        if unknown:
            raise UserError(
                f"{path}: {len(unknown)} of its patients have pseudonyms that this version does not know, so "
                "one patient would have two in the ledger: use the version that wrote it, or another --out"
            )
        if not before.any():
            return table
        former = table[before]
        return pd.concat([self._renamed(former), table[~before]]).sort_index()[list(table)]

    def _renamed(self, table: pd.DataFrame) -> pd.DataFrame:
        patients = table["patient"].map(self._patients)
        found = table.assign(patient=patients)
        if "pair" in table:
            found["pair"] = table["pair"].map(self._pairs)
        if "visit" in table:
            visits = zip(table["patient"], table["visit"].map(str), strict=True)
            found["visit"] = [self._visits[visit] for visit in visits]
        if "scan" in table:  # it ends in the number of its row
            found["scan"] = patients + ":" + table["scan"].str.rpartition(":")[2]
        return found

    @cached_property
    def _patients(self) -> dict[str, str]:
        """The pseudonym of every patient, by the hash of earlier versions."""
        return {
            former_pseudonym(patient): self._cohort.pseudonym(patient) for patient in self._cohort.patients
        }

    @cached_property
    def _visits(self) -> dict[tuple[str, str], str]:
        """The rank of every visit, by that hash and the visit's name."""
        visits = self._cohort.visits()
        return {
            (former_pseudonym(patient), visit): self._cohort.visit_rank(patient, visit)
            for patient, visit in zip(visits["patient"], visits["visit"], strict=True)
        }

    @cached_property
    def _pairs(self) -> dict[str, str]:
        """The name of every two visits of a patient, by the name that earlier versions gave them."""
        pairs = self._cohort.ordered_pairs()
        columns = (pairs[name] for name in ("patient", "earlier", "later"))
        before = [
            f"{former_pseudonym(p)}:{earlier}>{later}" for p, earlier, later in zip(*columns, strict=True)
        ]
        return dict(zip(before, hidden_pairs(self._cohort, pairs), strict=True))

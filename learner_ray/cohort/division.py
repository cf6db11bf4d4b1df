"""Where the test patients of a study come from: drawn, the user's own partition, or one place at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from learner_ray.cohort.cohort import Cohort
from learner_ray.cohort.leave_out import Place, leave_one_out
from learner_ray.cohort.own_splits import read_splits
from learner_ray.cohort.splits import Fold, make_splits
from learner_ray.core.errors import UserError
from learner_ray.core.files import sha256_of


@dataclass(frozen=True, kw_only=True)
class Division:
    """The folds of a study and what is to be said of them."""

    folds: list[Fold]
    """Ordered by repeat and fold."""
    words: str = ""
    """What a table's footnote says of them: ``leave one site out``, ``own splits``; empty for folds that this
    package drew."""
    places: tuple[str, ...] = ()
    """The site or device that each fold leaves out, in the order of the folds; empty for other divisions."""
    origin: Mapping[str, str] = field(default_factory=dict)
    """The user's own table: ``from``, its path, and ``file_hash``, the SHA-256 of its content."""

    @property
    def sizes(self) -> dict[str, int]:
        """The numbers of ``folds`` in a repeat and of ``repeats``."""
        repeats = len({fold.repeat for fold in self.folds})
        return {"folds": len(self.folds) // repeats, "repeats": repeats}

    @property
    def record(self) -> dict[str, Any]:
        """What ``study.json`` says of the folds, as plain values."""
        return {"division": self.words or None, "places": list(self.places), "splits_file": dict(self.origin)}


@dataclass(frozen=True, kw_only=True)
class DivisionAsked:
    """How a study is asked to divide its patients."""

    splits: str | None = None
    """Path of the user's own table."""
    leave_out: str | None = None
    """``site`` or ``device``: one fold for each."""
    folds: int | None = None
    """What ``--folds`` says; None where it is not given."""
    repeats: int | None = None
    """What ``--repeats`` says; None where it is not given."""

    @property
    def is_given(self) -> bool:
        """Whether it is the user, and not this package, who says who is tested where."""
        return bool(self.splits or self.leave_out)

    def divide(self, cohort: Cohort, *, folds: int, repeats: int, seed: int) -> Division:
        """Divides a cohort's patients.

        Args:
            cohort: whose patients are divided.
            folds: of a repeat, where this package draws them.
            repeats: likewise.
            seed: likewise; it also decides how training patients are dealt to parts.

        Raises:
            UserError: the cohort cannot be divided so, or ``--folds`` or ``--repeats`` say otherwise.
        """
        if self.splits is not None:
            path = Path(self.splits).expanduser()
            made = read_splits(path, cohort, seed=seed)
            origin = {"from": str(path.resolve()), "file_hash": sha256_of(path)}
            found = Division(folds=made, words="own splits", origin=origin)
            self._require_sizes(found, f"{self.splits} has")
        elif self.leave_out is not None:
            made, places = leave_one_out(cohort, cast(Place, self.leave_out), seed=seed)
            found = Division(folds=made, words=f"leave one {self.leave_out} out", places=places)
            self._require_sizes(found, f"--leave-out {self.leave_out} gives")
        else:
            found = Division(folds=make_splits(cohort, folds=folds, repeats=repeats, seed=seed))
        return found

    def _require_sizes(self, found: Division, subject: str) -> None:
        for name, there in found.sizes.items():
            asked = getattr(self, name)
            if asked is not None and asked != there:
                raise UserError(f"--{name} {asked}: {subject} {there} {name}; leave out --{name}")


DRAWN = DivisionAsked()
"""Folds that this package draws."""

"""The interface of a source: a public data set whose folder is recognised as it is distributed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from learner_ray.cohort.cohort import Cohort
from learner_ray.cohort.sources.importer import LeftOut
from learner_ray.core.components import SOURCES


class SourceLayout(ABC):
    """How a folder is laid out: how it is recognised among others, and how a cohort is read from it.

    Define a subclass in a study file. Its folders are then recognised, and ``--format`` takes its name.
    """

    name: ClassVar[str]
    """What ``--format`` selects it by."""
    needs: ClassVar[str]
    """What a folder must hold, in words: shown to a user whose folder is not recognised."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        SOURCES.added(cls)

    @abstractmethod
    def recognises(self, folder: Path) -> bool:
        """Whether a folder is laid out like this; it looks at names alone."""

    @abstractmethod
    def read(self, folder: Path, missing: Sequence[str] = ()) -> Cohort:
        """The cohort of a folder that is recognised.

        Args:
            folder: holds the scans and their table.
            missing: codes that stand for "no score" in the table; such scans are left out, and a note of the
                cohort counts them.

        Raises:
            UserError: something in the folder is faulty; the message names file, row and remedy.
        """

    def left_out(self, folder: Path, missing: Sequence[str] = ()) -> list[LeftOut]:
        """The scans, and rows of the table, that the cohort of a folder lacks, each with its reason. Nothing
        unless a source says otherwise; it takes what :meth:`read` takes."""
        return []

"""The interface of an importer: it finds scans below a path, with what is known of each, and opens no image.

An importer never joins or writes: ``join`` gives every scan its score, ``writing`` writes the manifest.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from learner_ray.cohort.dates import Moment
from learner_ray.core.components import IMPORTERS

Sureness = Literal["certain", "likely", "possible"]
"""How sure a kind is, in falling order."""

RULES = ("scan", "visit", "nearest")
"""By what a score may belong to a scan, in the order in which it is tried; ``join`` describes them."""

ACCELERATED = re.compile(r"accel|grappa|sense|repeat", re.IGNORECASE)
"""Names of MR series that are taken only where a visit has no other."""

Progress = Callable[[int, str], None]
"""Takes the number of files that were looked at, and what is being done."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Why a path is taken for one kind."""

    sure: Sureness
    """How sure it is."""
    because: str
    """What was found, in words."""


@dataclass(frozen=True, kw_only=True)
class FoundScan:
    """One scan below a path."""

    path: Path
    """Its file, or the folder that holds its files."""
    files: tuple[Path, ...] = ()
    """Its files where there are several."""
    mask: Path | None = None
    """The file that says where it is to be seen; None where there is none."""
    patient: str
    """Id of the patient, as written."""
    visit: str = ""
    """Label of the visit; empty where it has none."""
    when: Moment | None = None
    """When it was taken; None where unknown."""
    image: str = ""
    """Id by which a table of scores may name this very scan; empty where there is none."""
    group: str = ""
    """Scans with one text here, of one patient and visit, are repeats of which one is enough."""
    rank: tuple[Any, ...] = ()
    """The repeat with the least rank is taken."""
    more: Mapping[str, str] = field(default_factory=dict)
    """Further cells of its row in the manifest, by column, such as ``device`` or ``age``."""


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """One scan, or row of a table, that does not reach the manifest."""

    path: str
    """The scan's path, or the table's and its row."""
    patient: str = ""
    """Id of the patient, if known."""
    visit: str = ""
    """Label or time of the visit, if known."""
    reason: str
    """Why, and where it can be mended, how."""


@dataclass(frozen=True, kw_only=True)
class ScoreRow:
    """One row of a table of scores."""

    table: Path
    """The table."""
    row: int
    """Its line there, from 1."""
    patient: str
    """Id of the patient, as written."""
    visit: str = ""
    """Label of the visit."""
    when: Moment | None = None
    """When the score was taken."""
    image: str = ""
    """Id of the one scan that it belongs to."""
    score: float
    """The score; NaN where it is missing."""
    more: Mapping[str, str] = field(default_factory=dict)
    """Further cells for the scan's row in the manifest."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """What an importer found below a path."""

    scans: list[FoundScan]
    """The scans that may be used."""
    scores: list[ScoreRow]
    """The scores that may belong to them."""
    left_out: list[LeftOut] = field(default_factory=list)
    """What was left out before any join."""
    notes: list[str] = field(default_factory=list)
    """What was guessed or decided, one sentence each."""
    modality: str = ""
    """What kind of scans they are; empty where the importer cannot know."""
    name: str = ""
    """Name of the data set, if it is a known one."""
    score: str = ""
    """Name of the score that is meant unless the user names one."""
    temporal: bool = True
    """Whether a later visit is later in time."""
    rules: Sequence[str] = RULES
    """Which of ``RULES`` count for these scores."""


@dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """What the user said of an import, beside kind and path."""

    scores: Path | None = None
    """The table of scores; None for that of the data set."""
    score: str = ""
    """Name of the score, and of its column where ``columns`` names none."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """What the table calls ``patient``, ``visit``, ``date``, ``day``, ``score``, ``path`` and others."""
    missing: tuple[str, ...] = ()
    """Codes that stand for no score."""
    date_format: str = ""
    """How dates are written; empty to recognise it."""
    prefer: str = ""
    """Text in the name of the scans to take, where a visit has several."""
    derivative: str = ""
    """Folder of processed images to take instead of the raw ones."""
    space: str = ""
    """Template space of processed images."""
    time_from: str = ""
    """What tells the times of visits; empty for the first that is there."""
    bids: Path | None = None
    """The data set in BIDS that processed images were made from."""
    spo2: str = ""
    """Column of the oxygen saturation."""
    fio2: str = ""
    """Column of the inspired fraction of oxygen."""
    flow: str = ""
    """Column of the oxygen flow, in litres per minute."""
    device: str = ""
    """Column of what the oxygen is given by."""
    modality: str = ""
    """What kind of scans are meant, where there are several."""
    patient_from: str = ""
    """DICOM: ``tag``, ``folder``, or a regular expression for the patient in a file's path."""
    patients: Path | None = None
    """DICOM: table that names the patient of files or folders; None where there is none."""
    out: Path = Path("manifest.csv")
    """The manifest to come."""
    dry_run: bool = False
    """Nothing is to be written."""
    series: str = ""
    """DICOM: regular expression for the descriptions of the MR series to take."""
    view_from: str = ""
    """DICOM: regular expression for the view in a description or a file's name."""

    def prefers(self, name: str) -> bool:
        """Whether a name holds the text of ``prefer``, in any case; false where nothing is preferred."""
        return bool(self.prefer) and self.prefer.casefold() in name.casefold()


class Importer(ABC):
    """One kind of data that can be imported.

    Define a subclass with a ``name`` in an installed package, and lead the entry point
    ``learner_ray.importer`` to it.
    """

    name: ClassVar[str]
    """What selects it on the command line."""
    needs: ClassVar[str]
    """What a path of this kind holds, in words."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        IMPORTERS.added(cls)

    @abstractmethod
    def evidence(self, path: Path) -> Evidence | None:
        """Why a path may be of this kind, by the names in it alone; None if it is not."""

    @abstractmethod
    def find(self, path: Path, options: ImportOptions, progress: Progress) -> Found:
        """The scans and scores at a path.

        Raises:
            UserError: something there is faulty; the message names file, row and remedy.
        """

    def make_files(self, scans: Sequence[FoundScan], progress: Progress) -> Mapping[Path, str]:
        """Makes the files of scans that are stored in another form; most importers have none to make.

        Args:
            scans: those that have a score.
            progress: is called with the number of scans done.

        Returns:
            Why there is no file, by the path of each scan where making it failed.

        Raises:
            UserError: what makes files is not installed, or the folder cannot be written.
        """
        return {}

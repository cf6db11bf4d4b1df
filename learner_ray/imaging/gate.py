"""The one gate of a cohort: ``python -m learner_ray.cohort check`` and every sweep go through it.

``inspect`` checks splits and headers in a moment, without PyTorch; ``decode`` reads every pixel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from learner_ray.cohort import Cohort, make_splits
from learner_ray.cohort.duplicates import Duplicate, find_duplicates, require_distinct
from learner_ray.cohort.faults import few_of_each
from learner_ray.cohort.listing import size_and_time
from learner_ray.core.errors import UserError
from learner_ray.core.scan_limit import DEFAULT_SCAN_GB
from learner_ray.core.sections import PixelSettings
from learner_ray.imaging.errors import BadScan, ScanError, unreadable
from learner_ray.imaging.threads import CORES, OPENING, look_at

if TYPE_CHECKING:
    from learner_ray.imaging.cache import PixelCache
    from learner_ray.imaging.fields_of_view import FieldOfView

_FEW_FOLDS = 10
"""Fewer folds than this are tried where those that were asked for are not possible."""


def inspect(
    cohort: Cohort,
    *,
    folds: Sequence[int],
    seed: int = 0,
    skip_bad: bool = False,
    most_gb: float = DEFAULT_SCAN_GB,
) -> list[str]:
    """Checks that a cohort can be divided into folds with patients of every class, and that its files open.

    Args:
        cohort: the cohort.
        folds: numbers of outer folds, one of which must be possible; none where the patients are divided
            otherwise.
        seed: seed of the division.
        skip_bad: accept files that cannot be opened, as long as there are others.
        most_gb: GB of values that a scan may have.

    Returns:
        One sentence for each number of folds that is not possible.

    Raises:
        UserError: no number of folds is possible, or a scan's file is missing or has a header of another
            kind.
    """
    complaints = _check_folds(cohort, folds, seed)
    bad = bad_headers(cohort, most_gb)
    good = len(cohort.scans) - len(bad)
    if bad and not (skip_bad and good):
        raise unreadable(bad, good)
    return complaints


def _check_folds(cohort: Cohort, folds: Sequence[int], seed: int) -> list[str]:
    complaints = []
    for number in sorted(set(folds)):
        try:
            make_splits(cohort, folds=number, repeats=1, seed=seed)
        except UserError as error:
            complaints.append(f"{number} folds are not possible: {error}")
            refused = error
    if complaints and len(complaints) == len(set(folds)):
        fewer = _fewer_folds(cohort, min(folds), seed)
        raise UserError(f"{refused}{fewer}") from refused
    return complaints


def _fewer_folds(cohort: Cohort, than: int, seed: int) -> str:
    """What is possible where a number of folds is not."""
    than = min(than, _FEW_FOLDS)
    for number in range(than - 1, 1, -1):
        with suppress(UserError):
            make_splits(cohort, folds=number, repeats=1, seed=seed)
            return f"; {number} folds are possible: --folds {number}"
    return "; fewer are not possible either: too few patients" if than > 2 else ""


def bad_headers(cohort: Cohort, most_gb: float = DEFAULT_SCAN_GB) -> list[BadScan]:
    """The scans with a file that is missing, is empty, or has a header of another kind or one that announces
    more than a limit, or whose crop or mask does not fit."""
    from learner_ray.imaging.decoder_pool import running
    from learner_ray.imaging.decoders import check_scan
    from learner_ray.imaging.region_of_interest import RegionOfInterest

    def look(scan: Any) -> BadScan | None:
        try:
            check_scan(scan.files, RegionOfInterest(scan.crop, scan.mask), most_gb)
        except ScanError as error:
            return BadScan(
                scan=scan.scan, source=scan.source, row=scan.row, path=error.path, reason=error.reason
            )
        return None

    with running():
        found = look_at(cohort.scans.itertuples(index=False), look)
    return [bad for bad in found if bad is not None]


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """A cohort whose every scan was read."""

    cohort: Cohort
    """The cohort, with the hash of each file in its ``contents``."""
    cache: PixelCache
    """The decoded pixels."""
    stamps: Mapping[str, tuple[int, int]]
    """Size in bytes and time of change in ns of each file before it was read, by path."""
    duplicates: list[Duplicate]
    """Files with the same content, which were allowed."""

    @property
    def unreadable(self) -> dict[str, str]:
        """Why scans were left out, by scan id, in words that name no file."""
        return {scan: bad.kind for scan, bad in self.cache.bad.items()}

    @property
    def bad_scans(self) -> dict[str, list[str]]:
        """The sentence about scans that cannot be read and are left out, with row, file and reason of each;
        empty where there is none."""
        bad = list(map(str, self.cache.bad.values()))
        if not bad:
            return {}
        count = (
            "1 scan cannot be read and is" if len(bad) == 1 else f"{len(bad):,} scans cannot be read and are"
        )
        return {f"{count} left out": bad}

    @cached_property
    def fields(self) -> dict[str, FieldOfView]:
        """The field of view of every scan that is one volume, by scan id."""
        from learner_ray.imaging.fields_of_view import fields_of_view

        return fields_of_view(self._readable)

    @cached_property
    def _readable(self) -> Cohort:
        """The cohort without the scans that cannot be read: their headers are read in this process from here
        on, and those of the others could end it."""
        return replace(self.cohort, scans=self.cohort.scans[~self.cohort.scans["scan"].isin(self.cache.bad)])

    @cached_property
    def oddities(self) -> dict[str, list[str]]:
        """What is unusual about scans that were accepted: a sentence for each kind, and the scans it applies
        to."""
        from learner_ray.imaging.fields_of_view import note_differences
        from learner_ray.imaging.looks import describe_looks

        fields = note_differences(self._readable, self.fields)
        looks = describe_looks(self.cache.looks)
        fields |= note_orientations(self._readable)
        return {**looks, **note_names(self._readable), **fields, **note_duplicates(self.duplicates)}


def decode(
    cohort: Cohort,
    pixels: PixelSettings,
    *,
    skip_bad: bool = False,
    allow_duplicates: bool = False,
    most_gb: float = DEFAULT_SCAN_GB,
    progress: Callable[[int, int], None] | None = None,
) -> Decoded:
    """Reads every pixel, into the cache that training uses, and compares what the files hold.

    Args:
        cohort: the cohort.
        pixels: how they are read.
        skip_bad: leave out scans that cannot be read instead of raising.
        allow_duplicates: accept files with the content of another.
        most_gb: GB of values that a scan may have.
        progress: called with the number of scans done and of all.

    Raises:
        UserError: scans cannot be read, or files have the same content.
        StorageError: the disk is full.
    """
    from learner_ray.imaging.cache import build_cache, with_contents
    from learner_ray.imaging.geometry import Geometry

    stamps = {path: stamp for path in cohort.paths if (stamp := size_and_time(path))}
    shown, geometry = cohort.shown(crop=pixels.crop, mask=pixels.mask), Geometry.of(pixels)
    cache = build_cache(
        shown,
        pixels.image_size,
        geometry=geometry,
        skip_bad=skip_bad,
        most_gb=most_gb,
        progress=progress,
    )
    cohort = with_contents(cohort, cache)
    duplicates = find_duplicates(cohort, cohort.contents, without=cache.bad)
    if not allow_duplicates:
        require_distinct(cohort, duplicates)
    return Decoded(cohort=cohort, cache=cache, stamps=stamps, duplicates=duplicates)


def note_duplicates(duplicates: Sequence[Duplicate]) -> dict[str, list[str]]:
    """The sentence that says that duplicates were allowed, with a line for each; empty where there is
    none."""
    if not duplicates:
        return {}
    count = "1 file has" if len(duplicates) == 1 else f"{len(duplicates):,} files have"
    return {f"{count} the same content as another (--allow-duplicates)": [each.line for each in duplicates]}


def may_name(cohort: Cohort) -> list[str]:
    """The scans with a DICOM file that may show names or dates. Files that cannot be read are passed over."""
    from learner_ray.imaging.dicom_header import read_header
    from learner_ray.imaging.headers import file_kind

    def may_name(scan: Any) -> bool:
        with suppress(ScanError):
            return any(file_kind(path) == "dicom" and read_header(path).may_name for path in scan.files)
        return False

    return _scans_with(may_name, cohort, OPENING)


def burnt_in_text(cohort: Cohort) -> list[str]:
    """The scans with a video into which bright text is burnt, within what crop and mask leave to be seen.
    Each is decoded at its full size. Of DICOM, reading hides such text itself."""
    from learner_ray.imaging.headers import file_kind
    from learner_ray.imaging.region_of_interest import RegionOfInterest
    from learner_ray.imaging.video import text_in_video

    def shows_text(scan: Any) -> bool:
        region = RegionOfInterest(scan.crop, scan.mask)
        with suppress(ScanError):
            return any(file_kind(path) == "video" and text_in_video(path, region) for path in scan.files)
        return False

    return _scans_with(shows_text, cohort, CORES)


def _scans_with(has: Callable[[Any], bool], cohort: Cohort, threads: int) -> list[str]:
    """The ids of a cohort's scans that have something, looked at by several threads."""
    found = look_at(cohort.scans.itertuples(index=False), has, threads)
    return [scan for scan, of in zip(cohort.scans["scan"], found, strict=True) if of]


def note_names(cohort: Cohort) -> dict[str, list[str]]:
    """The sentence about DICOM files that may show names or dates, and their scans; empty where there is
    none."""
    scans = may_name(cohort)
    if not scans:
        return {}
    count = "1 scan may show" if len(scans) == 1 else f"{len(scans):,} scans may show"
    return {f"{count} names or dates (BurnedInAnnotation is YES or absent); look at the pictures": scans}


def note_text(scans: Sequence[str]) -> dict[str, list[str]]:
    """The sentence about scans with burnt-in text, and these scans; empty where there is none."""
    if not scans:
        return {}
    count = "1 scan" if len(scans) == 1 else f"{len(scans):,} scans"
    return {f"{count} may show burnt-in text to the network; hide it by the column crop or mask": [*scans]}


def note_orientations(cohort: Cohort) -> dict[str, list[str]]:
    """The sentence about images of Analyze 7.5 that may lie otherwise than their headers say, and their
    scans; empty where there is none. Files that cannot be read are passed over."""
    from learner_ray.imaging.analyze import orientation_is_doubtful

    scans = [
        scan
        for scan, files in zip(cohort.scans["scan"], cohort.scans["files"], strict=True)
        if any(path.lower().endswith(".img") and orientation_is_doubtful(path) for path in files)
    ]
    if not scans:
        return {}
    count = "1 scan is" if len(scans) == 1 else f"{len(scans):,} scans are"
    return {
        f"{count} Analyze 7.5, whose headers are often wrong about orientation; look at the pictures": scans
    }


def warnings(oddities: Mapping[str, Sequence[str]]) -> list[str]:
    """Lines to print: each sentence, and a few of the scans it applies to."""
    return [
        line
        for sentence, names in oddities.items()
        for line in (f"warning: {sentence}:", *few_of_each([("", name) for name in names]))
    ]

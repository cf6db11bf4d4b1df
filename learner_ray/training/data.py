"""A cohort with its cached pixels, opened once per process and looked at by patient."""

from __future__ import annotations

import math
import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from learner_ray.cohort import Cohort
from learner_ray.cohort.listing import listed_contents
from learner_ray.core.caching import cached_once
from learner_ray.core.config import Config
from learner_ray.core.errors import StorageError, UserError
from learner_ray.core.files import json_object, parse_object
from learner_ray.core.sections import PixelSettings
from learner_ray.imaging.augmentation import augment
from learner_ray.imaging.cache import PixelCache, build_cache, with_contents
from learner_ray.imaging.geometry import Geometry
from learner_ray.imaging.sampling import frame_indices
from learner_ray.imaging.source import open_cohort
from learner_ray.run.object_storage import StoredFolder, is_url
from learner_ray.run.spec import Source
from learner_ray.training.frames import Frames, Waits, frames_for


@dataclass(frozen=True)
class Data:
    """A cohort and the cache of its pixels at one image size."""

    cohort: Cohort
    """The cohort as planned."""
    cache: PixelCache
    """The pixels of its readable scans."""
    scans: pd.DataFrame
    """The readable scans, indexed by scan id, in the cohort's order."""
    _placed: dict[str, Frames] = field(default_factory=dict, repr=False, compare=False)
    _placing: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def of(self, patients: Sequence[str]) -> pd.DataFrame:
        """The scans of some patients, in the cohort's order."""
        return self.scans[self.scans["patient"].isin(set(patients))]

    def pairs(self, patients: Collection[str], *, ordered: bool = False) -> pd.DataFrame:
        """The pairs of some patients whose visits both have a readable scan: consecutive ones, or all two
        visits in both orders; columns as in :meth:`Cohort.pairs`."""
        pairs = self.cohort.ordered_pairs() if ordered else self.cohort.pairs()
        visits = set(zip(self.scans["patient"], self.scans["visit"], strict=True))
        readable = [
            (p, a) in visits and (p, b) in visits
            for p, a, b in zip(pairs["patient"], pairs["earlier"], pairs["later"], strict=True)
        ]
        kept = pairs["patient"].isin(set(patients)) & np.array(readable, dtype=bool)
        return pairs[kept].reset_index(drop=True)

    def frames(self, device: str) -> Frames:
        """The frames of all scans where the device reaches them; placed there at the first call."""
        with self._placing:
            if device not in self._placed:
                self._placed[device] = frames_for(self.cache.all_frames, device)
            return self._placed[device]

    def frame_indices(self, scans: Sequence[str], frames: int, keys: Tensor | None) -> Tensor:
        """Positions of T frames of each scan among all frames: int64 (B, T).

        Args:
            scans: ids, B of them.
            frames: T.
            keys: int64 (B,), draw them at random; None takes the centres of the segments.
        """
        first = torch.tensor([self.cache.first(scan) for scan in scans], dtype=torch.int64)
        lengths = torch.tensor([self.cache.length(scan) for scan in scans], dtype=torch.int64)
        return first[:, None] + frame_indices(lengths, frames, keys)

    def statistics(self, scans: Iterable[str]) -> tuple[Tensor, Tensor]:
        """Mean and SD of the grey values of scans, float32 (B,) each."""
        values = [self.cache.statistics(scan) for scan in scans]
        means, sds = torch.tensor(values, dtype=torch.float32).reshape(-1, 2).unbind(1)
        return means, sds

    def batches(self, scans: Sequence[str], frames: int, device: str, size: int) -> Iterator[Tensor]:
        """All of some scans without augmentation, in batches: standardised frames, float32 (B, T, H, W).

        Of no scans there is one batch, an empty one.
        """
        parts = [scans[start : start + size] for start in range(0, max(len(scans), 1), size)]
        indices = [self.frame_indices(part, frames, None) for part in parts]
        for part, clips in zip(parts, self.frames(device).clips(indices, Waits()), strict=True):
            means, sds = self.statistics(part)
            yield augment(clips, means.to(device), sds.to(device), None)

    def pixels(
        self,
        scans: Sequence[str],
        frames: int,
        *,
        keys: Sequence[int],
        strength: float = 0.0,
        device: str = "cpu",
    ) -> Tensor:
        """T random frames of each scan, standardised and augmented: float32 (B, T, H, W)."""
        drawn = torch.tensor(keys, dtype=torch.int64)
        index = self.frame_indices(scans, frames, drawn)
        (clips,) = self.frames(device).clips([index], Waits())
        means, sds = self.statistics(scans)
        return augment(clips, means.to(device), sds.to(device), drawn.to(device), strength)


def data_of(source: Source, config: Config) -> Data:
    """Opens a source with the pixels that a configuration asks for, as :func:`open_data` does."""
    return open_data(source, config.data.pixels)


@cached_once(maxsize=4)
def open_data(source: Source, pixels: PixelSettings) -> Data:
    """Opens a source, building its pixel cache where this machine has none yet.

    Raises:
        UserError: a scan cannot be read, or the cohort is not the one that the source names by hash.
    """
    cohort = open_cohort(source)
    cohort = replace(cohort, contents=listed_contents(cohort, _content_list(source.contents)))
    if source.cohort_hash:
        cohort = replace(cohort, contents=cohort.held)
        _require_planned(source, cohort)
    shown = cohort.shown(crop=pixels.crop, mask=pixels.mask)
    # What the study left out stays out, even where it can be read here; what it read, however large, is read.
    kept = replace(shown, scans=shown.scans[~shown.scans["scan"].isin(source.bad_scans)])
    cache = build_cache(kept, pixels.image_size, geometry=Geometry.of(pixels), most_gb=math.inf)
    # Where the pixels were decoded just now, so were the files that the list was believed about.
    cohort = with_contents(cohort, cache)
    _require_planned(source, cohort)
    readable = cohort.scans[[scan in cache for scan in cohort.scans["scan"]]]
    return Data(cohort=cohort, cache=cache, scans=readable.set_index("scan", drop=False))


def _require_planned(source: Source, cohort: Cohort) -> None:
    if source.cohort_hash and cohort.hash != source.cohort_hash:
        raise UserError(
            f"{source.path} has changed since this run was planned (cohort hash {cohort.hash[:12]}, "
            f"planned with {source.cohort_hash[:12]}): restore the data or start a study in a new --out"
        )
    if source.covariates_hash and cohort.covariates_hash != source.covariates_hash:
        raise UserError(
            f"{source.path}: age, sex or education have changed since this run was planned: restore them, or "
            "run the study's command again"
        )


def _content_list(address: str) -> Any:
    """The study's list of what the cohort's files hold; nothing where it cannot be read: they can be."""
    if not address:
        return None
    try:
        if not is_url(address):
            return json_object(address)
        folder, _, name = address.rpartition("/")
        return parse_object(StoredFolder.at(folder).read(name))
    except (OSError, StorageError, ValueError):
        return None

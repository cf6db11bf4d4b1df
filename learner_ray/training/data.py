"""A cohort with its cached pixels, opened once per process and looked at by patient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from learner_ray.cohort import Cohort
from learner_ray.cohort.listing import listed_contents
from learner_ray.core.caching import cached_once
from learner_ray.core.errors import StorageError, UserError
from learner_ray.core.files import json_object, parse_object
from learner_ray.imaging.augmentation import augment, load_batch
from learner_ray.imaging.cache import PixelCache, build_cache, with_contents
from learner_ray.imaging.source import open_cohort
from learner_ray.run.object_storage import StoredFolder, is_url
from learner_ray.run.spec import Source


@dataclass(frozen=True)
class Data:
    """A cohort and the cache of its pixels at one image size."""

    cohort: Cohort
    """The cohort as planned."""
    cache: PixelCache
    """The pixels of its readable scans."""
    scans: pd.DataFrame
    """The readable scans, indexed by scan id, in the cohort's order."""

    def of(self, patients: Sequence[str]) -> pd.DataFrame:
        """The scans of some patients, in the cohort's order."""
        return self.scans[self.scans["patient"].isin(set(patients))]

    def pixels(
        self,
        scans: Sequence[str],
        frames: int,
        *,
        keys: Sequence[int] | None,
        strength: float = 0.0,
        device: str = "cpu",
    ) -> Tensor:
        """Standardised frames (B, T, H, W) in float32; with keys, T random frames of each scan, augmented.

        Bytes move to the device, 13 kB per frame of 112 x 112; what is computed is computed there.
        """
        if not len(scans):
            return torch.empty(0, frames, self.cache.size, self.cache.size, device=device)
        batch = load_batch(self.cache, scans, frames, keys=keys).to(device)
        statistics = torch.tensor([self.cache.statistics(scan) for scan in scans])
        return augment(batch, statistics[:, 0], statistics[:, 1], keys, strength)


@cached_once(maxsize=4)
def open_data(source: Source, image_size: int) -> Data:
    """Opens a source, building its pixel cache where this machine has none yet.

    Raises:
        UserError: a scan cannot be read, or the cohort is not the one that the source names by hash.
    """
    cohort = open_cohort(source)
    cohort = replace(cohort, contents=listed_contents(cohort, _content_list(source.contents)))
    if source.cohort_hash:
        cohort = replace(cohort, contents=cohort.held)
        _require_planned(source, cohort)
    cache = build_cache(cohort, image_size, skip_bad=bool(source.bad_scans))
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

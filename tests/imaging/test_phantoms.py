"""Phantom cohorts are real files whose structure, and not whose brightness, follows the score."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import GroupKFold, cross_val_predict

from learner_ray.cohort import load
from learner_ray.core.errors import UserError
from learner_ray.imaging.phantoms import write_phantom
from learner_ray.imaging.phantoms.mri import mri_volume
from learner_ray.imaging.reader import read_scan


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.long
@pytest.mark.parametrize(
    ("modality", "frames"), [("lus", 24), pytest.param("mri", 32, marks=pytest.mark.long)]
)
@pytest.mark.slow
def test_the_same_arguments_write_the_same_readable_files(tmp_path: Path, modality: str, frames: int) -> None:
    manifest = write_phantom(modality, tmp_path / "a", patients=2, visits=2)
    write_phantom(modality, tmp_path / "b", patients=2, visits=2)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    cohort = load(manifest, modality=modality)
    assert cohort.phantom and cohort.scans.groupby("patient").size().tolist() == [2, 2]
    for files in cohort.scans["files"]:
        assert read_scan(files, 64).shape == (frames, 64, 64)


def test_there_is_no_phantom_of_another_modality(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--data"):
        write_phantom("ct", tmp_path)


def test_ventricles_grow_with_the_severity() -> None:
    def dark_share(severity: float) -> float:
        draws = [np.random.Generator(np.random.Philox(key=k)) for k in (1, 2)]
        volume = mri_volume(*draws, severity).astype(float)
        middle = volume[22:42, 20:56, 28:40]  # about the lateral ventricles
        return float((middle < 0.5 * np.median(middle)).mean())

    shares = [dark_share(severity) for severity in (0.0, 0.5, 1.0)]
    assert shares == sorted(shares) and shares[2] > 1.5 * shares[0]


@pytest.mark.long
def test_brightness_does_not_tell_the_score(tmp_path: Path) -> None:
    """At the size of the files, and at the size a laptop trains at, where averaging could give it away."""
    scans = load(write_phantom("lus", tmp_path), modality="lus").scans
    for size in (128, 64):
        counts = [
            np.histogram(read_scan(files, size), bins=32, range=(0, 256))[0] for files in scans["files"]
        ]
        x = np.array(counts, float)
        x = (x - x.mean(0)) / (x.std(0) + 1e-9)
        ridge, folds = RidgeCV(np.logspace(-2, 4, 13)), GroupKFold(6)
        predicted = cross_val_predict(ridge, x, scans["score"], groups=scans["patient"], cv=folds)
        assert spearmanr(predicted, scans["score"]).statistic < 0.3

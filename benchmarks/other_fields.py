"""How far frames of one head change with its field of view, and after registration, beside two heads.

    python benchmarks/other_fields.py FOLDER_OF_VOLUMES [--levels extent] [--register]

The volumes are stripped heads of different people on a grid of 2 mm (OASIS-1). Prints the mean difference of
frames of 64 x 64 pixels in grey levels.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import affine_transform, zoom
from scipy.spatial.transform import Rotation

from learner_ray.imaging.geometry import Geometry
from learner_ray.imaging.volume import read_volume

Voxels = NDArray[Any]
SIDE_MM = 2.0
OTHER_FIELDS: dict[str, Callable[[Voxels], Voxels]] = {
    "28 mm less below": lambda voxels: voxels[:, :, 14:],
    "20 mm more on all sides": lambda voxels: np.pad(voxels, 10),
    "20 mm more in the plane": lambda voxels: np.pad(voxels, ((10, 10), (10, 10), (0, 0))),
    "20 mm more in front": lambda voxels: np.pad(voxels, ((0, 0), (0, 10), (0, 0))),
    "20 mm more below": lambda voxels: np.pad(voxels, ((0, 0), (0, 0), (10, 0))),
    "head 6 mm to the left": lambda voxels: np.roll(voxels, -3, 0),
}
MOVES = (((5, -3, 8), (6, -4, 8)), ((10, 6, -12), (-10, 12, 5)), ((-15, 4, 9), (8, 8, -8)))
"""Degrees about three axes, and mm."""


def main() -> None:
    """Prints a line for each change."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--levels", choices=("mm", "extent"), default="mm")
    parser.add_argument("--register", action="store_true")
    options = parser.parse_args()
    geometry = Geometry(levels=options.levels)
    paths = sorted(options.folder.glob("*_MR1_*.nii.gz"))
    heads = [np.asarray(nibabel.as_closest_canonical(nibabel.load(p)).dataobj, np.float32) for p in paths]
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary, "volume.nii")
        usual = [frames(write(file, head), geometry) for head in heads]
        show("two heads", (apart(a, b) for a, b in itertools.combinations(usual, 2)))
        for name, change in OTHER_FIELDS.items():
            changed = (frames(write(file, change(head)), geometry) for head in heads)
            show(name, map(apart, usual, changed))
        fine = [zoom(head, (2, 2, 0.8), order=1, grid_mode=True, mode="grid-constant") for head in heads]
        changed = (frames(write(file, head, (1, 1, 2.5)), geometry) for head in fine)
        show("voxels 1 x 1 x 2.5 mm", map(apart, usual, changed))
        if options.register:
            for degrees, mm in MOVES:
                pairs = [moved(head, degrees, mm, Path(temporary)) for head in heads]
                show(f"turned by {degrees} degrees, moved by {mm} mm", (before for before, _ in pairs))
                show("  registered", (after for _, after in pairs))


def moved(head: Voxels, degrees: Any, mm: Any, folder: Path) -> tuple[float, float]:
    """The difference of a head and the same turned and moved, before and after registration."""
    from learner_ray.imaging.registration import register

    wide, turn = np.pad(head, 12), Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    middle = (np.array(wide.shape) - 1) / 2
    turned = affine_transform(wide, turn, offset=middle - turn @ (middle + np.array(mm) / SIDE_MM), order=1)
    first, later, out = write(folder / "1.nii", head), write(folder / "2.nii", turned), folder / "3.nii.gz"
    register([str(first)], [str(later)], out)
    usual, before, after = (frames(path, Geometry()) for path in (first, later, out))
    return apart(usual, before), apart(usual, after)


def write(path: Path, voxels: Voxels, sides: tuple[float, float, float] = (SIDE_MM,) * 3) -> Path:
    """The path of a volume, written."""
    nibabel.save(nibabel.Nifti1Image(voxels, np.diag([*sides, 1.0])), path)
    return path


def frames(path: Path, geometry: Geometry) -> Voxels:
    """Frames of a volume as a sweep has them, (T, 64, 64)."""
    return read_volume(str(path), 64, geometry).astype(float)


def apart(a: Voxels, b: Voxels) -> float:
    """The mean difference of frames in grey levels."""
    return float(np.abs(a - b).mean())


def show(name: str, differences: Iterable[float]) -> None:
    """Prints mean, least and largest of differences."""
    found = [*differences]
    print(f"{name:56} {np.mean(found):6.2f} ({min(found):.2f} to {max(found):.2f})", flush=True)


if __name__ == "__main__":
    main()

"""The region of interest of a scan: what the columns ``crop`` and ``mask`` of its manifest leave of it.

Both are in pixels of the file as it is shown upright, before it is scaled: a crop ``x0,y0,x1,y1`` counts from
the top left, and x1 and y1 lie outside. A mask is as large as the whole picture or volume, and above 0 where
the scan is to be seen; all else becomes black. It holds for every frame, and for every file of a scan.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from nibabel.spatialimages import SpatialImage
from numpy.typing import NDArray

from learner_ray.cohort.scan_files import HEADERS
from learner_ray.imaging.errors import ScanError
from learner_ray.imaging.headers import file_kind, open_picture
from learner_ray.imaging.screen import Box, Picture
from learner_ray.imaging.volume_files import VolumeHeader

_SAME_PLACE_MM = 1e-3
"""By how much the position of a voxel may differ between a volume and its mask, by rounding in the header."""


@dataclass(frozen=True)
class RegionOfInterest:
    """A row's crop and mask, as ``Scan`` has them."""

    crop: str = ""
    """``x0,y0,x1,y1``; empty for the whole picture."""
    mask: str = ""
    """Path of the mask; empty where there is none."""

    def __bool__(self) -> bool:
        return bool(self.crop or self.mask)

    def box(self, path: str, width: int, height: int) -> Box | None:
        """The crop as a box within a picture; None where there is no crop.

        Raises:
            ScanError: it reaches beyond the picture.
        """
        if not self.crop:
            return None
        left, top, right, bottom = map(int, self.crop.split(","))
        if right > width or bottom > height:
            reason = f"has {width} x {height} pixels, beyond which crop {self.crop} reaches; correct the crop"
            raise ScanError(path, reason)
        return left, top, right, bottom

    def picture(self, path: str, width: int, height: int, otherwise: Box | None = None) -> Picture:
        """What is to be seen of the frames of a file that is no volume.

        Args:
            path: the file.
            width: of its frames, in pixels.
            height: of its frames, in pixels.
            otherwise: the box to use where there is no crop; None for the whole frame.

        Raises:
            ScanError: the crop reaches beyond the picture, or the mask is of another size or kind, or leaves
                nothing.
        """
        box = self.box(path, width, height) or otherwise or (0, 0, width, height)
        left, top, right, bottom = box
        hidden = np.zeros((bottom - top, right - left), bool)
        if self.mask:
            hidden = ~self._picture_mask(width, height)[top:bottom, left:right]
            self.require_some(~hidden)
        return Picture(box=box, hidden=hidden)

    def require_some(self, inside: NDArray[np.bool_]) -> None:
        """Refuses a mask that leaves nothing.

        Args:
            inside: where it is above 0, within the crop: (H, W) of a picture, (X, Y, Z) of a volume.

        Raises:
            ScanError: it is that nowhere.
        """
        if not inside.any():
            where = f" within crop {self.crop}" if self.crop else ""
            raise ScanError(self.mask, f"is nowhere above 0{where}, so it hides all of its scan; correct it")

    def check_volume_mask(
        self, volume: SpatialImage | VolumeHeader, mask: SpatialImage | VolumeHeader
    ) -> None:
        """Refuses a mask that does not lie on a volume voxel by voxel. Reads headers alone.

        Raises:
            ScanError: its shape or its position is another one.
        """
        shapes = [tuple(n for n in image.shape if n != 1) for image in (mask, volume)]
        if shapes[0] != shapes[1]:
            raise ScanError(self.mask, _other_size("voxels", shapes[0], shapes[1]))
        if not np.allclose(mask.affine, volume.affine, atol=_SAME_PLACE_MM):
            reason = "lies elsewhere in space than its scan by its header; resample it to the scan's grid"
            raise ScanError(self.mask, reason)

    @property
    def volume_mask(self) -> tuple[str]:
        """The file of a volume's mask.

        Raises:
            ScanError: it is no volume, or a header alone.
        """
        if self.mask.lower().endswith(HEADERS):  # a change of its voxels would not be seen
            raise ScanError(
                self.mask, "is the header of a mask in two files; write it as one file such as .nii.gz"
            )
        if file_kind(self.mask) != "volume":
            raise ScanError(
                self.mask, "is the mask of a volume, but none itself; give a mask such as .nii.gz"
            )
        return (self.mask,)

    def _picture_mask(self, width: int, height: int) -> NDArray[np.bool_]:
        """Where the mask is above 0, (H, W)."""
        if not self.mask.lower().endswith(".png"):  # JPEG would blur its border
            raise ScanError(
                self.mask, "is not a PNG picture, as a mask of this kind of scan must be; save it as one"
            )
        with open_picture(self.mask) as image:
            if image.size != (width, height):
                raise ScanError(self.mask, _other_size("pixels", image.size, (width, height)))
            deep = image.mode.startswith(("I", "F", "1"))
            inside: NDArray[np.bool_] = np.asarray(image if deep else image.convert("L")) > 0
        return inside


def _other_size(unit: str, found: Sequence[int], expected: Sequence[int]) -> str:
    mask, scan = (" x ".join(map(str, size)) for size in (found, expected))
    return f"has {mask} {unit}, its scan {scan}; make it as large as the scan"


WHOLE = RegionOfInterest()
"""No crop and no mask."""

"""Whether a crop and a mask fit their scan, from headers: without reading its pixels.

A mask that is nowhere above 0 shows here for pictures, and for volumes when they are read.
"""

from __future__ import annotations

import nibabel

from learner_ray.imaging.dicom_header import read_header
from learner_ray.imaging.errors import ScanError
from learner_ray.imaging.headers import NIFTI_DAMAGE, file_kind, long_axes, open_picture
from learner_ray.imaging.region_of_interest import RegionOfInterest

_TURNED = (5, 6, 7, 8)
"""Values of the EXIF tag Orientation that exchange width and height."""
_ORIENTATION = 0x0112


def check_region(path: str, region: RegionOfInterest) -> None:
    """Refuses a crop or a mask that does not fit a file.

    Raises:
        ScanError: it is out of the picture, empty, or of another size or kind.
    """
    if file_kind(path) == "volume":
        _check_volume(path, region)
        return
    width, height = _shown_size(path)
    region.picture(path, width, height)


def _check_volume(path: str, region: RegionOfInterest) -> None:
    try:
        volume = nibabel.load(path)
    except NIFTI_DAMAGE as error:
        raise ScanError(path, f"cannot be read as NIfTI ({error})") from error
    sides = [int(volume.shape[axis]) for axis in long_axes(volume.shape)]
    if len(sides) == 3:  # as it is shown, turned to the axes of the patient
        towards = nibabel.io_orientation(volume.affine)[:, 0]
        sides = [sides[int((towards == axis).argmax())] for axis in range(2)]
    region.box(path, sides[0], sides[1])
    if region.mask:
        region.check_volume_mask(path, volume, region.open_volume_mask())


def _shown_size(path: str) -> tuple[int, int]:
    """Width and height of a file's frames, upright, in pixels of the file."""
    kind = file_kind(path)
    if kind == "dicom":
        header = read_header(path)
        return header.width, header.height
    if kind == "picture":
        with open_picture(path) as image:
            turned = image.getexif().get(_ORIENTATION) in _TURNED
            return (image.height, image.width) if turned else (image.width, image.height)
    from learner_ray.imaging.video import upright_frames  # PyTorch comes with it

    for frame in upright_frames(path):
        return frame.shape[1], frame.shape[0]
    raise ScanError(path, "holds no frames")

"""Whether a crop and a mask fit their scan, without decoding its frames.

A mask that is nowhere above 0 shows here for pictures, and for volumes when they are read.
"""

from __future__ import annotations

from learner_ray.imaging import dicom_header
from learner_ray.imaging.errors import ScanError
from learner_ray.imaging.headers import file_kind, open_picture
from learner_ray.imaging.region_of_interest import RegionOfInterest
from learner_ray.imaging.volume_files import long_axes, read_header

_TURNED = (5, 6, 7, 8)
"""Values of the EXIF tag Orientation that exchange width and height."""
_ORIENTATION = 0x0112


def check_region(part: tuple[str, ...], region: RegionOfInterest) -> None:
    """Refuses a crop or a mask that does not fit a part of a scan.

    Args:
        part: files that are read at once, as ``headers.parts_of`` gives them.
        region: the crop and the mask.

    Raises:
        ScanError: it is out of the picture, empty, or of another size or kind.
    """
    if len(part) > 1 or file_kind(part[0]) == "volume":
        _check_volume(part, region)
        return
    width, height = _shown_size(part[0])
    region.picture(part[0], width, height)


def _check_volume(part: tuple[str, ...], region: RegionOfInterest) -> None:
    header = read_header(part)
    axes = long_axes(header.shape)
    if len(axes) == 3:  # as it is shown, turned to the axes of the patient
        axes = header.axes
    region.box(part[0], header.shape[axes[0]], header.shape[axes[1]])
    if region.mask:
        region.check_volume_mask(header, read_header(region.volume_mask))


def _shown_size(path: str) -> tuple[int, int]:
    """Width and height of a file's frames, upright, in pixels of the file."""
    kind = file_kind(path)
    if kind == "dicom":
        header = dicom_header.read_header(path)
        return header.width, header.height
    if kind == "picture":
        with open_picture(path) as image:
            turned = image.getexif().get(_ORIENTATION) in _TURNED
            return (image.height, image.width) if turned else (image.width, image.height)
    from learner_ray.imaging.video import upright_frames  # PyTorch comes with it

    for frame in upright_frames(path):
        return frame.shape[1], frame.shape[0]
    raise ScanError(path, "holds no frames")

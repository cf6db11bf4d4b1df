"""Volumes of later visits, turned and moved onto the patient's first one. No tissue is scaled.

Needs SimpleITK (Lowekamp et al. 2013, doi 10.3389/fninf.2013.00045), which the extra ``register`` brings.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import nibabel
import numpy as np

from learner_ray.cohort import Cohort
from learner_ray.core.errors import UserError
from learner_ray.imaging.errors import ScanError
from learner_ray.imaging.kinds import kind_of_scan
from learner_ray.imaging.volume_files import format_of, open_volume

logger = logging.getLogger(__name__)

INSTALL = "pip install 'learner-ray[register]'"

_SHRINK, _SMOOTH_MM = (4, 2, 1), (4.0, 2.0, 0.0)
"""Factors and smoothing of the three resolutions, coarse to fine."""
_SHARE = 0.2
"""The part of the voxels that are compared."""
_BINS = 50
"""Bins of grey values in mutual information."""

_DARK = 2.0
"""The percentile of a volume that fills what it does not cover."""


def require_simpleitk() -> ModuleType:
    """The module SimpleITK.

    Raises:
        UserError: the package is not installed.
    """
    try:
        import SimpleITK
    except ImportError as error:
        raise UserError(f"--register needs the package SimpleITK: {INSTALL}") from error
    module: ModuleType = SimpleITK
    return module


def register_to_first(cohort: Cohort, folder: Path, progress: Callable[[int, str], None]) -> dict[int, Path]:
    """Registers every later volume of a patient to the first one, and writes what comes of it.

    Args:
        cohort: whose scans that are one volume are registered; others are left as they are.
        folder: where the files go; it is made.
        progress: called with the number of volumes done and what they are.

    Returns:
        The file written, by the scan's row.

    Raises:
        UserError: SimpleITK is not installed, or cannot read or register a volume.
    """
    require_simpleitk()
    volumes = cohort.scans[cohort.scans["files"].map(kind_of_scan) == "volume"]
    written: dict[int, Path] = {}
    folder.mkdir(parents=True, exist_ok=True)
    for _, scans in volumes.sort_values("order", kind="stable").groupby("patient", sort=False):
        (_, first), *later = zip(map(int, scans["row"]), scans["files"], strict=True)
        for row, files in later:
            path = files[0]
            target = folder / f"{row:05}-{_file_name(files)}"
            try:
                register(first, files, target)
            except (RuntimeError, ScanError) as error:
                reason = str(error).strip().splitlines()[-1]
                raise UserError(
                    f"{path} cannot be registered to {first[0]} ({reason}): leave the scan "
                    "out, or import without --register"
                ) from error
            written[row] = target
            progress(len(written), "volumes registered")
    return written


def _file_name(files: Sequence[str]) -> str:
    """The name of what is written of a volume: its own where it is NIfTI in one file, else as NIfTI."""
    path = Path(files[0])
    return path.name if _is_nifti(files) else f"{path.stem}.nii.gz"


def _is_nifti(files: Sequence[str]) -> bool:
    return len(files) == 1 and format_of(files[0]) == "NIfTI"


def _image(sitk: Any, files: Sequence[str]) -> Any:
    """SimpleITK's image of a volume, by way of NIfTI where it is of another format, so that it lies as it is
    shown."""
    if _is_nifti(files):
        return sitk.ReadImage(files[0], sitk.sitkFloat32)
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary, "volume.nii")
        nibabel.save(open_volume(files), path)
        return sitk.ReadImage(str(path), sitk.sitkFloat32)


def register(fixed: Sequence[str], moving: Sequence[str], target: Path) -> None:
    """Writes a volume as it lies after a rigid transform onto another one, on the grid of that one: six
    parameters that maximise the mutual information of Mattes et al. (2003, doi 10.1109/TMI.2003.809072),
    at three resolutions. The same files give the same bits.

    Args:
        fixed: the files of the volume that stays, as ``open_volume`` takes them.
        moving: those of the other one.
        target: NIfTI.

    Raises:
        ScanError: a volume is damaged.
        RuntimeError: a file cannot be read, or the two do not overlap.
    """
    sitk: Any = require_simpleitk()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)  # sums over threads differ in their last bits
    onto, volume = (_image(sitk, files) for files in (fixed, moving))
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(_BINS)
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentage(_SHARE, seed=1)  # the places are jittered
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=1.0, minStep=1e-4, numberOfIterations=200, relaxationFactor=0.6
    )
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel(_SHRINK)
    method.SetSmoothingSigmasPerLevel(_SMOOTH_MM)
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    start = sitk.CenteredTransformInitializer(
        onto, volume, sitk.Euler3DTransform(), sitk.CenteredTransformInitializerFilter.MOMENTS
    )
    method.SetInitialTransform(start, inPlace=False)
    found = method.Execute(onto, volume)
    dark = float(np.percentile(sitk.GetArrayViewFromImage(volume), _DARK))
    moved = sitk.Resample(volume, onto, found, sitk.sitkBSpline, dark, sitk.sitkFloat32)
    temporary = target.with_name(f".{os.getpid()}-{target.name}")
    sitk.WriteImage(moved, str(temporary))
    temporary.replace(target)

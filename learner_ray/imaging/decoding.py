"""What a decoder answers when it is asked for a scan, as plain values."""

from __future__ import annotations

import errno
import math
from typing import Any

from learner_ray.core.errors import causes
from learner_ray.core.files import GONE
from learner_ray.imaging.errors import ScanError
from learner_ray.imaging.headers import check_header, parts_of
from learner_ray.imaging.limits import TooMuchError
from learner_ray.imaging.region_checks import check_region
from learner_ray.imaging.region_of_interest import RegionOfInterest

_LONGEST_REASON = 300
"""Letters of a reason that come from a package."""
_SHORT = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}
"""Error numbers of a machine that has no more open files, or no more memory, to give."""


def answer(request: dict[str, Any]) -> tuple[dict[str, Any], bytes | memoryview]:
    """Reads a scan, or its headers.

    Args:
        request: the arguments of ``decoders.read_scan``, ``geometry`` and ``region`` by their fields; or of
            ``decoders.check_scan``, which has no ``size``.

    Returns:
        Number of bytes of the frames, and these; or the fields of a ``ScanError``, and none. What a reader
        raises that is none of its own errors is taken for damage of the file.
    """
    files, region = tuple(request["files"]), RegionOfInterest(**request["region"])
    most_gb = math.inf if request["most_gb"] is None else request["most_gb"]
    try:
        if "size" not in request:
            _check(files, region, most_gb)
            return {"bytes": 0}, b""
        from learner_ray.imaging.geometry import Geometry
        from learner_ray.imaging.reader import read_scan  # PyTorch comes with it

        frames = read_scan(files, request["size"], Geometry(**request["geometry"]), region, most_gb)
        return {"bytes": frames.nbytes}, frames.reshape(-1).data
    except ScanError as error:
        return {"path": error.path, "reason": error.reason, "may_pass": may_pass(error)}, b""
    except Exception as error:
        reason = f"cannot be decoded ({type(error).__name__}: {error})"[:_LONGEST_REASON]
        return {"path": files[0], "reason": reason, "may_pass": may_pass(error)}, b""


def _check(files: tuple[str, ...], region: RegionOfInterest, most_gb: float) -> None:
    for part in parts_of(files):
        check_header(part, most_gb)
        if region:
            check_region(part, region)


def may_pass(fault: BaseException) -> bool:
    """Whether it is a fault of storage or machine, of a package that is missing, or of a limit, and not of
    the file."""
    return any(
        isinstance(cause, ImportError | MemoryError | TooMuchError)
        or getattr(cause, "may_pass", False)
        or getattr(cause, "errno", None) in GONE | _SHORT
        for cause in causes(fault)
    )

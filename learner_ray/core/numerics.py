"""The number of what this version computes from a configuration.

Every change after which the same configuration gives other numbers (augmentation, geometry, the meaning of a
weight) raises it in the same commit. It is part of a run's hash, so that runs of two numbers are never mixed.
"""

from __future__ import annotations

from learner_ray.core.errors import UserError

NUMERICS = 4
"""What this version computes.

1: all versions up to 0.2.0.
2: the choice of frames, augmentation and noise are drawn by counter, on the device that trains.
3: levels of a volume lie in mm from the top of the head, and its frames are centred on the head.
4: a crop moves no level of a volume in mm, one background value amid negative ones is black, and text in
   DICOM clips that JPEG makes flicker is hidden.
"""

UNNAMED = 1
"""The number of results whose files name none."""


def refuse_other(numerics: int, what: str) -> None:
    """Refuses to train a run of another number.

    Args:
        numerics: the run's number.
        what: the run, for the message.

    Raises:
        UserError: it is not this version's number.
    """
    if numerics != NUMERICS:
        raise UserError(
            f"{what} is of numerics {numerics}, and this version computes numerics {NUMERICS}, which gives "
            "other numbers from the same configuration: train it with the version that made it, or run its "
            "study anew with another --out"
        )

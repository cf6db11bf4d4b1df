"""Brain MRI volumes: a T1-weighted head with folded cortex, ventricles and hippocampi that lose tissue.

What follows the severity is what atrophy shows: wider ventricles and sulci, smaller hippocampi with
cerebrospinal fluid (CSF) in their place. Anatomy is given in mm: x to the right, y to the front, z up, from
the middle of the brain.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from learner_ray.imaging.phantoms.draws import FloatArray, draw_traits, match_quantiles, smooth_noise, tone

SHAPE = (64, 76, 64)
SPACING_MM = 2.75

TRAITS = {
    "length": (1.0, 0.045),  # of the head, as a factor
    "breadth": (1.0, 0.045),
    "height": (1.0, 0.045),
    "pitch": (0.0, 0.07),  # radians
    "roll": (0.0, 0.05),
    "yaw": (0.0, 0.05),
    "left": (0.0, 3.0),  # mm
    "front": (0.0, 3.0),
    "up": (0.0, 3.0),
    "scalp": (6.0, 1.2),
    "ventricle": (4.5, 0.7),
    "sulcus": (0.9, 0.2),
    "hippocampus": (7.0, 0.4),
    "bias": (0.12, 0.04),
    "noise": (0.035, 0.008),
    "grey": (0.60, 0.035),
    "white": (0.84, 0.03),
    "units": (800.0, 180.0),
}
"""Centre and SD between patients of all that does not follow the score."""

_TONE = 0.07

_CSF, _GREY, _WHITE, _BONE, _FAT, _MUSCLE = 0.12, 0.55, 0.85, 0.05, 1.0, 0.40
_SOFT_MM = 1.2
"""Width of the border between two tissues: a voxel holds both."""

_CEREBRUM = ((0, 0, 8), (65, 83, 56))
_LOBES = ((37, 12, -24), (25, 42, 24))
_CEREBELLUM = ((0, -46, -40), (46, 32, 24))
_BRAINSTEM = ((0, -16, -50), (13, 15, 40))
_NUCLEI = (((11, -16, 6), (8, 14, 9)), ((25, 4, 2), (6, 15, 10)))
"""Centre and half axes of ellipsoids; those off the middle have a twin on the left."""

_LATERAL = ((9, 38, 8), (11, 12, 17), (15, -20, 19), (24, -42, 10), (25, -60, 6))
_TEMPORAL = ((24, -42, 10), (33, -26, -12), (29, -4, -22))
_HIPPOCAMPUS = ((26, -2, -22), (31, -26, -14))


@dataclass(frozen=True, kw_only=True)
class _Head:
    """A patient's head: positions in it of all voxels, and the depth under the brain's surface."""

    traits: dict[str, float]
    position: FloatArray  # (3, X, Y, Z) in mm
    mirrored: FloatArray  # the same with x on the right side
    depth: FloatArray  # mm, negative outside


def mri_volume(
    patient: np.random.Generator, visit: np.random.Generator, severity: float
) -> NDArray[np.int16]:
    """Draws the volume of a head.

    Args:
        patient: draws anatomy and scanner; the same state at every visit of a patient.
        visit: draws what differs from visit to visit.
        severity: 0 for no atrophy to 1.

    Returns:
        int16 of ``SHAPE`` (X, Y, Z) in RAS+ order, voxels of ``SPACING_MM``. Within the head the values have
        a distribution drawn without regard to the severity.
    """
    head = _draw_head(patient, visit)
    image = _shell(head)
    image = _over(image, _brain(head, patient, severity), head.depth)
    bias = head.traits["bias"] * smooth_noise(patient, SHAPE, 14)
    image = image * np.exp(bias) + head.traits["noise"] * visit.standard_normal(SHAPE, dtype=np.float32)
    return _to_units(head, image, visit)


def affine() -> NDArray[np.float64]:
    """The matrix (4, 4) from voxel indices to mm, with the middle of the volume at the origin."""
    matrix = np.diag([SPACING_MM] * 3 + [1.0])
    matrix[:3, 3] = -SPACING_MM * (np.array(SHAPE) - 1) / 2
    return matrix


def _draw_head(patient: np.random.Generator, visit: np.random.Generator) -> _Head:
    traits = draw_traits(TRAITS, patient, visit)
    voxels = np.indices(SHAPE).reshape(3, -1) - (np.array(SHAPE)[:, None] - 1) / 2
    shift = np.array([traits["left"], traits["front"], traits["up"] + 6.0])[:, None]
    turned = _rotation(traits["pitch"], traits["roll"], traits["yaw"]) @ (SPACING_MM * voxels - shift)
    size = np.array([traits["breadth"], traits["length"], traits["height"]])[:, None]
    position = (turned / size).reshape(3, *SHAPE).astype(np.float32)
    mirrored = np.concatenate([np.abs(position[:1]), position[1:]])
    parts = (_CEREBRUM, _LOBES, _CEREBELLUM, _BRAINSTEM)
    depth = np.max([_depth(mirrored, *part) for part in parts], axis=0)
    return _Head(traits=traits, position=position, mirrored=mirrored, depth=depth)


def _rotation(pitch: float, roll: float, yaw: float) -> NDArray[np.float64]:
    matrix = np.eye(3)
    for angle, (a, b) in ((pitch, (1, 2)), (roll, (0, 2)), (yaw, (0, 1))):
        turn = np.eye(3)
        turn[[a, b], [a, b]] = np.cos(angle)
        turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
        matrix = turn @ matrix
    return matrix


def _depth(position: FloatArray, centre: tuple[float, ...], axes: tuple[float, ...]) -> FloatArray:
    """Depth in mm under the surface of an ellipsoid, to first order at the surface."""
    offset = position - np.array(centre, np.float32)[:, None, None, None]
    scaled = offset / np.array(axes, np.float32)[:, None, None, None]
    radius = np.sqrt((scaled**2).sum(0))
    slope = np.sqrt(((scaled / np.array(axes, np.float32)[:, None, None, None]) ** 2).sum(0))
    return np.asarray(radius * (1 - radius) / np.maximum(slope, 1e-4), dtype=np.float32)


def _distance(position: FloatArray, path: tuple[tuple[float, float, float], ...]) -> FloatArray:
    """Distance in mm from the nearest point of a broken line."""
    nearest = np.full(position.shape[1:], np.inf, np.float32)
    for start, end in itertools.pairwise(path):
        a, along = np.array(start, np.float32), np.subtract(end, start).astype(np.float32)
        offset = position - a[:, None, None, None]
        share = np.clip(np.tensordot(along, offset, 1) / (along @ along), 0, 1)
        gap = offset - along[:, None, None, None] * share
        nearest = np.minimum(nearest, np.sqrt((gap**2).sum(0)))
    return nearest


def _over(below: FloatArray, tissue: FloatArray | float, inside_mm: FloatArray) -> FloatArray:
    """One tissue laid over another where ``inside_mm`` is positive."""
    share = np.clip(inside_mm / _SOFT_MM + 0.5, 0, 1)
    return np.asarray(below + share * (tissue - below), dtype=np.float32)


def _shell(head: _Head) -> FloatArray:
    """Skin, skull, and CSF around the brain; face and neck below."""
    outside = -head.depth
    image = np.zeros(SHAPE, np.float32)
    face = np.maximum(_depth(head.mirrored, (0, 48, -52), (56, 40, 45)), 12 - np.abs(outside - 12))
    neck = np.maximum(face, _depth(head.mirrored, (0, -22, -75), (52, 58, 50)))
    image = _over(image, _MUSCLE, np.where(head.position[2] < 0, neck, -np.inf))
    image = _over(image, _FAT, 10 + head.traits["scalp"] - outside)
    image = _over(image, _BONE, 10 - outside)
    image = _over(image, 0.45, 1.2 - np.abs(outside - 6))  # marrow between the skull's two tables
    image = _over(image, _FAT, _depth(head.mirrored, (31, 74, -22), (16, 18, 15)))
    image = _over(image, 0.2, _depth(head.mirrored, (31, 78, -22), (12, 12, 12)))
    image = _over(image, 0.02, _depth(head.mirrored, (0, 78, -42), (14, 22, 16)))
    return _over(image, _CSF, 2.5 - outside)


def _brain(head: _Head, patient: np.random.Generator, severity: float) -> FloatArray:
    """Grey and white matter, and the CSF inside the brain."""
    traits, mirrored = head.traits, head.mirrored
    cortex = np.minimum(_from_sulcus(head, patient), head.depth)
    width = traits["sulcus"] + 1.6 * severity
    image = np.full(SHAPE, _CSF, np.float32)
    image = _over(image, traits["grey"], cortex - width)
    image = _over(image, traits["white"], cortex - width - 2.6)
    image = _over(image, _folia(head), _depth(mirrored, *_CEREBELLUM))
    image = _over(image, traits["white"], _depth(mirrored, *_BRAINSTEM))
    for nucleus in _NUCLEI:
        image = _over(image, traits["grey"] + 0.06, _depth(mirrored, *nucleus))
    hippocampus = _distance(mirrored, _HIPPOCAMPUS)
    image = _over(image, _CSF, traits["hippocampus"] + 0.5 - hippocampus)
    image = _over(image, traits["grey"], traits["hippocampus"] * (1 - 0.5 * severity) - hippocampus)
    wide = traits["ventricle"] + 7.0 * severity
    image = _over(image, _CSF, 0.45 * wide - _distance(mirrored, _TEMPORAL))
    image = _over(image, _CSF, wide - _distance(mirrored, _LATERAL))
    return _over(image, _CSF, 0.35 * wide - _distance(mirrored, ((0, 4, -4), (0, -16, 6))))


def _from_sulcus(head: _Head, patient: np.random.Generator) -> FloatArray:
    """Distance in mm from the nearest sulcus: sheets that run inwards from the surface, and the midline."""
    sigma = 1.5
    folds = smooth_noise(patient, SHAPE, sigma)
    radius = np.sqrt(((head.position / np.array(_CEREBRUM[1], np.float32)[:, None, None, None]) ** 2).sum(0))
    # Noise looked up where a voxel's ray meets one shell is constant along the ray: its zeros are sheets.
    shell = head.position * (0.4 + 0.5 / np.maximum(radius, 0.4)) / SPACING_MM
    middle = (np.array(SHAPE, np.float32)[:, None, None, None] - 1) / 2
    height = map_coordinates(folds, shell + middle, order=1, mode="nearest")
    sheet = np.abs(height) * sigma * 1.3 * SPACING_MM + np.maximum(head.depth - 16, 0)
    midline = np.abs(head.position[0]) + 1.0 + 2 * np.maximum(26 - head.position[2], 0)
    return np.asarray(np.minimum(sheet, midline), dtype=np.float32)


def _folia(head: _Head) -> FloatArray:
    """Grey values of the cerebellum: thin leaves."""
    _, y, z = head.mirrored
    leaves = 0.5 + 0.5 * np.sin((z + 0.4 * y) * (2 * np.pi / 9))
    return np.asarray(head.traits["grey"] + 0.2 * leaves, dtype=np.float32)


def _to_units(head: _Head, image: FloatArray, visit: np.random.Generator) -> NDArray[np.int16]:
    """The scanner's units, with the drawn distribution within the head and little noise around it."""
    inside = (head.depth > -10 - head.traits["scalp"]) | (image > 0.25)
    p = np.array([0, 0.1, 0.3, 0.6, 0.85, 1.0])
    grey, white = head.traits["grey"], head.traits["white"]
    values = np.array([0.02, 0.08, grey - 0.1, grey + 0.05, white, 1.15])
    quantiles = np.interp(np.linspace(0, 1, 256), p, values).astype(np.float32)
    result = np.maximum(np.abs(image) * 0.3, 0)
    result[inside] = match_quantiles(image[inside], tone(quantiles, visit, _TONE))
    return np.asarray((head.traits["units"] * result).round(), dtype=np.int16)

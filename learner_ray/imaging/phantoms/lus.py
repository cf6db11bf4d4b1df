"""Lung-ultrasound clips: a convex sector with body wall, pleural line, A-lines, B-lines and consolidations.

Artefacts follow the usual reading of lung ultrasound (Volpicelli 2012, doi 10.1007/s00134-012-2513-4): a
well lung repeats the pleural line at multiples of its depth (A-lines); a wet one sends vertical B-lines to
the bottom of the image, which move with the pleura and erase the A-lines; consolidations lie under it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from learner_ray.imaging.phantoms.draws import FloatArray, draw_traits, match_at_scales, smooth_noise, tone

FRAMES = 24
FRAMES_PER_SECOND = 25
SIZE = 128
_RANGES, _BEAMS = 128, 96

TRAITS = {
    "half_angle": (33.0, 4.0),
    "radius": (0.45, 0.07),  # of the probe, in image heights
    "pleura": (0.20, 0.04),  # depth of the pleural line, as a fraction of the imaged depth
    "tilt": (0.0, 0.07),
    "wall": (0.8, 0.25),
    "window": (0.0, 0.12),  # middle of the gap between two ribs, in half widths of the image
    "gap": (0.66, 0.08),  # half of the gap's width
    "reverberation": (1.0, 0.25),
    "haze": (0.16, 0.04),
    "decay": (2.2, 0.5),
    "grain": (1.3, 0.2),
    "breath": (5.0, 1.2),  # beams that the pleura slides
    "gamma": (2.6, 0.5),
    "gain": (0.85, 0.09),
}
"""Centre and SD between patients of all that does not follow the score."""

_TONE = 0.04
_COARSE_SD = {4: (0.5, 0.8), 2: (0.7, 0.95)}
"""Share of the SD of grey values that is left in means of 4 x 4 and 2 x 2 pixels: least and most."""

_SLOTS = 8
"""Places along the pleura where a B-line may arise."""


@dataclass(frozen=True, kw_only=True)
class _View:
    """The imaged plane in polar coordinates; arrays broadcast to (time, range, beam)."""

    traits: dict[str, float]
    depth: FloatArray  # (R, 1), 0 at the probe to 1
    beam: FloatArray  # (B,), -1 to 1 across the image
    pleura: FloatArray  # (T, 1, B), depth of the pleural line
    slide: FloatArray  # (T,), in beams


def lus_clip(
    patient: np.random.Generator, visit: np.random.Generator, severity: float
) -> np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]:
    """Draws a clip of one intercostal view.

    Args:
        patient: draws anatomy and probe; the same state at every visit of a patient.
        visit: draws what differs from visit to visit.
        severity: 0 for a well lung to 1 for a consolidated one.

    Returns:
        uint8 (24, 128, 128). Within the sector its grey values have a distribution drawn without regard to
        the severity.
    """
    view = _draw_view(patient, visit)
    ribs = _ribs(view)
    echo = _body_wall(view, patient, visit)
    echo += ribs * _lung(view, patient, visit, severity)
    speckle = _speckle(view, visit)
    floor = visit.rayleigh(0.02, size=echo.shape).astype(np.float32)
    return _to_grey(view, np.log(echo * speckle + floor), visit)


def _draw_view(patient: np.random.Generator, visit: np.random.Generator) -> _View:
    traits = draw_traits(TRAITS, patient, visit)
    beam = np.linspace(-1, 1, _BEAMS, dtype=np.float32)
    phase = visit.uniform(0, 2 * np.pi) + np.linspace(0, 2 * np.pi * visit.uniform(0.5, 0.9), FRAMES)
    breath = np.sin(phase).astype(np.float32)
    curve = 1 + traits["tilt"] * beam + 0.03 * smooth_noise(patient, (_BEAMS,), 14)
    bob = 1 + 0.02 * breath[:, None, None]
    return _View(
        traits=traits,
        depth=np.linspace(0, 1, _RANGES, dtype=np.float32)[:, None],
        beam=beam,
        pleura=(traits["pleura"] * curve * bob).astype(np.float32),
        slide=(traits["breath"] * breath).astype(np.float32),
    )


def _line(depth: FloatArray, centre: FloatArray | float, width: float) -> FloatArray:
    return np.asarray(np.exp(-np.square((depth - centre) / width)), dtype=np.float32)


def _along(view: _View, profile: FloatArray) -> FloatArray:
    """A profile along the pleura, (..., B), where breathing has slid it to: (T, ..., B)."""
    position = np.arange(_BEAMS) - view.slide[:, None]
    left = np.floor(position).astype(int)
    right_share = (position - left).astype(np.float32)
    moved = np.moveaxis(profile, -1, 0)
    shape = (*position.shape, *[1] * (profile.ndim - 1))
    share = right_share.reshape(shape)
    slid = moved[left % _BEAMS] * (1 - share) + moved[(left + 1) % _BEAMS] * share
    return np.moveaxis(slid, 1, -1)


def _body_wall(view: _View, patient: np.random.Generator, visit: np.random.Generator) -> FloatArray:
    """Skin, fat and fasciae above the pleural line, with the ribs' surfaces."""
    above = expit((view.pleura - view.depth) / 0.008)
    wall = 0.25 + 0.7 * _line(view.depth, 0, 0.035)
    for fraction in np.sort(patient.uniform(0.15, 0.9, size=patient.integers(3, 7))):
        course = view.pleura * fraction + 0.012 * smooth_noise(patient, (_BEAMS,), 10)
        brightness = patient.uniform(0.3, 1.0) * (1 + 0.4 * smooth_noise(visit, (_BEAMS,), 8)).clip(0)
        wall = wall + brightness * _line(view.depth, course, 0.010)
    return np.asarray(view.traits["wall"] * wall * above, dtype=np.float32)


def _ribs(view: _View) -> FloatArray:
    """(B,): what the ribs at both sides of the window let through; below them there is shadow."""
    distance = np.abs(view.beam - view.traits["window"])
    return np.asarray(expit((view.traits["gap"] - distance) / 0.035), dtype=np.float32)


def _lung(
    view: _View, patient: np.random.Generator, visit: np.random.Generator, severity: float
) -> FloatArray:
    """The pleural line and all below it."""
    below = expit((view.depth - view.pleura) / 0.006)
    past = np.maximum(view.depth - view.pleura, 0)
    rough = _along(view, smooth_noise(patient, (_BEAMS,), 1.5))[:, None]
    line = (1 + severity * 0.6 * rough).clip(0.1) * _line(view.depth, view.pleura, 0.012 + 0.010 * severity)
    rays = _along(view, _b_lines(patient, visit, severity))[:, None]
    lung = view.traits["haze"] * np.exp(-view.traits["decay"] * past)
    lung = lung + (1 - severity) * _a_lines(view, patient) / (1 + 3 * rays)
    lung = lung + rays * np.exp(-0.3 * past)
    holes, rims = _consolidation(view, patient, severity)
    lung = lung * (1 - 0.9 * holes) + 0.8 * rims
    return np.asarray(1.4 * line + lung * below, dtype=np.float32)


def _a_lines(view: _View, patient: np.random.Generator) -> FloatArray:
    """Repeats of the pleural line at multiples of its depth, each fainter."""
    lateral = (1 + 0.4 * smooth_noise(patient, (_BEAMS,), 10)).clip(0.2)
    strength = view.traits["reverberation"] * lateral
    return np.asarray(
        sum(strength * 0.75**m * _line(view.depth, m * view.pleura, 0.012) for m in (2, 3, 4)),
        dtype=np.float32,
    )


def _b_lines(patient: np.random.Generator, visit: np.random.Generator, severity: float) -> FloatArray:
    """(B,): brightness of the rays that arise from the pleura; more and broader as the lung gets worse."""
    edges = np.linspace(0.14, 0.86, _SLOTS) + patient.uniform(-0.03, 0.03, _SLOTS)
    centres = _BEAMS * (edges + 0.008 * visit.standard_normal(_SLOTS))
    onset = (patient.permutation(_SLOTS) + 1) / (_SLOTS + 1)
    brightness = patient.uniform(0.7, 1.1, _SLOTS) * expit((severity - onset) / 0.04)
    width = patient.uniform(1.2, 1.8, _SLOTS) * (1 + 1.2 * severity)
    rays = brightness * np.exp(-np.square((np.arange(_BEAMS)[:, None] - centres) / width))
    return np.asarray(rays.sum(1), dtype=np.float32)


def _consolidation(
    view: _View, patient: np.random.Generator, severity: float
) -> tuple[FloatArray, FloatArray]:
    """Dark half-ellipses under the pleura and their bright, ragged deep border, from severity 0.4 on."""
    size = max(severity - 0.4, 0.0) / 0.6
    centres, spans = patient.uniform(0.3, 0.7, 2) * _BEAMS, patient.uniform(8, 13, 2)
    ragged = 1 + 0.15 * smooth_noise(patient, (_BEAMS,), 1.0)
    if not size:
        nothing = np.zeros(1, np.float32)
        return nothing, nothing
    offsets = (np.arange(_BEAMS)[:, None] - centres) / (spans * size)
    reach = (0.16 * size * np.sqrt(np.maximum(1 - offsets**2, 0))).max(1) * ragged
    deep = view.pleura + _along(view, np.asarray(reach, np.float32))[:, None]
    present = np.minimum((deep - view.pleura) / 0.02, 1)
    inside = (view.depth > view.pleura) * expit((deep - view.depth) / 0.006)
    return inside * present, present * _line(view.depth, deep, 0.014)


def _speckle(view: _View, visit: np.random.Generator) -> FloatArray:
    """(T, R, B): Rayleigh amplitudes that slide with the tissue and lose their pattern slowly."""
    grain = (0.7, view.traits["grain"])
    fields = [smooth_noise(visit, (_RANGES, _BEAMS), grain) for _ in range(4)]
    turn = np.linspace(0, 0.6 * np.pi, FRAMES, dtype=np.float32)[:, None, None]
    parts = [_along(view, field) for field in fields]
    real = np.cos(turn) * parts[0] + np.sin(turn) * parts[1]
    imaginary = np.cos(turn) * parts[2] + np.sin(turn) * parts[3]
    return np.asarray(np.sqrt(real**2 + imaginary**2) + 0.4, dtype=np.float32)


def _to_grey(
    view: _View, echo: FloatArray, visit: np.random.Generator
) -> np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]:
    """Scan conversion to the sector, and grey values of the drawn distribution."""
    row, column, inside = _sector(view.traits["half_angle"], view.traits["radius"])
    top, left = np.minimum(row.astype(int), _RANGES - 2), np.minimum(column.astype(int), _BEAMS - 2)
    down, right = (row - top).astype(np.float32), (column - left).astype(np.float32)
    flat = echo.reshape(FRAMES, -1)
    corner = top * _BEAMS + left
    upper = flat[:, corner] * (1 - right) + flat[:, corner + 1] * right
    lower = flat[:, corner + _BEAMS] * (1 - right) + flat[:, corner + _BEAMS + 1] * right
    p = np.linspace(0, 1, 256, dtype=np.float32)
    gamma = view.traits["gamma"]
    quantiles = 255 * view.traits["gain"] * (0.65 * p**gamma + 0.35 * p ** (8 * gamma))
    frames = np.zeros((FRAMES, SIZE, SIZE), np.float32)
    frames[:, inside] = upper * (1 - down) + lower * down
    coarse = {scale: visit.uniform(low, high) for scale, (low, high) in _COARSE_SD.items()}
    frames = match_at_scales(frames, inside, tone(quantiles, visit, _TONE), coarse)
    frames[:, ~inside] = 0
    return frames.round().clip(0, 255).astype(np.uint8)


def _sector(half_angle: float, radius: float) -> tuple[FloatArray, FloatArray, np.ndarray]:
    """Range and beam, in samples, of the pixels inside the sector, and which these are."""
    y, x = (np.mgrid[:SIZE, :SIZE].astype(np.float32) + 0.5) / SIZE
    x, y = x - 0.5, y - 0.02 + radius
    depth = (np.hypot(x, y) - radius) / 0.96
    angle = np.arctan2(x, y) / np.deg2rad(half_angle)
    inside = (depth >= 0) & (depth <= 1) & (np.abs(angle) <= 1)
    return depth[inside] * (_RANGES - 1), (angle[inside] + 1) / 2 * (_BEAMS - 1), inside

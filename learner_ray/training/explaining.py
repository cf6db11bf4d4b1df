"""Pictures of why a final run predicted a change: integrated gradients of a few of its test pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from learner_ray.cohort import CLASSES
from learner_ray.core.files import replacing, write_json
from learner_ray.imaging.gallery.pictures import shown_frame
from learner_ray.imaging.overlay import overlay
from learner_ray.training.data import Data
from learner_ray.training.integrated_gradients import integrated_gradients, window_sums
from learner_ray.training.predictions import hidden_pairs
from learner_ray.training.predictor import Predictor
from learner_ray.training.progression import Embedded, class_names, clip_pairs, features, true_classes

FOLDER, INDEX = "explanations", "explanations.json"
"""The pictures' folder below a study, and the file there that says what they show."""
MAPS = "integrated gradients"
_PANEL = 256
"""Pixels of the side of a panel at least."""
_GAP = 8
_SMALL = 1e-3
"""Step of the numerical derivative, in SDs of an embedding and of the predicted scores."""


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """One picture and what it shows."""

    file: str
    pair: str
    """The pair as the ledger writes it, with the patient's pseudonym."""
    true: str
    predicted: str
    probability: float
    """Probability of the class predicted."""
    score_earlier: float
    score_later: float
    largest: float
    """What the strongest colour stands for: what the pixels of a window there add to the response."""


def explain(predictor: Predictor, data: Data, folder: Path, count: int) -> list[Explanation]:
    """Writes pictures of test pairs: the earlier and the later scan, each plain and with its map.

    The pairs are those that :func:`chosen` names, as far as there are any.

    Args:
        predictor: of a complete final run.
        data: the run's cohort.
        folder: made where it is missing; pictures that an earlier call left go first.
        count: pairs at most.
    """
    patients, progression = predictor.spec.patients.test, predictor.progression
    pairs, scans = data.pairs(patients), data.of(patients)
    embedded = predictor.embed(data, scans["scan"].tolist())
    probabilities = progression.predict(pairs, scans, embedded)
    names, true = class_names(progression.config), true_classes(progression.config, pairs)
    decided, hidden = progression.decide(probabilities), hidden_pairs(data.cohort, pairs)
    _clear(folder)
    found = []
    for number, row in enumerate(chosen(true, decided, probabilities)[:count], start=1):
        pair = pairs.iloc[[row]].reset_index(drop=True)
        panels, largest = _panels(predictor, data, pair, embedded)
        file = f"pair-{number}.png"
        with replacing(folder / file) as temporary:
            Image.fromarray(panels).save(temporary, "PNG")
        found.append(
            Explanation(
                file=file,
                pair=hidden[row],
                true=names[true[row]],
                predicted=names[decided[row]],
                probability=float(probabilities[row, decided[row]]),
                score_earlier=float(pair["score_earlier"][0]),
                score_later=float(pair["score_later"][0]),
                largest=largest,
            )
        )
    write_json(folder / INDEX, _index(predictor, found))
    return found


def _clear(folder: Path) -> None:
    """Makes the folder. Pictures of an earlier call go, what says what they show first: where this call does
    not end, nothing is said of pictures that are others."""
    folder.mkdir(parents=True, exist_ok=True)
    for left in (folder / INDEX, *folder.glob("pair-*.png")):
        left.unlink(missing_ok=True)


def _index(predictor: Predictor, found: Sequence[Explanation]) -> dict[str, Any]:
    return {
        "run_hash": predictor.spec.hash,
        "maps": MAPS,
        "phantom": bool(predictor.description["phantom"]),
        "response": "p(better) - p(worse)" if predictor.progression.config.classes == 3 else "-p(worse)",
        "pictures": [asdict(each) for each in found],
    }


def chosen(
    true: NDArray[np.int64], decided: NDArray[np.int64], probabilities: NDArray[np.float64]
) -> list[int]:
    """The pairs to explain: of each class the one called right, and the one called wrong, most certainly;
    then the next most certain ones in the same order. Of those called wrong, far errors come first: worse
    that was called better, and the reverse.

    Args:
        true: (N,) the classes.
        decided: (N,) those called.
        probabilities: (N, C).

    Returns:
        Numbers of all pairs. In each round those called right come first, by class.
    """
    certainty = probabilities[np.arange(len(decided)), decided]
    groups = []
    for right in (True, False):
        for y in range(probabilities.shape[1]):
            among = np.flatnonzero((true == y) & ((decided == y) == right))
            far = np.abs(decided[among] - y) if not right else np.zeros(len(among))
            groups.append(among[np.lexsort((-certainty[among], -far))])
    rounds = range(max(map(len, groups), default=0))
    return [int(group[number]) for number in rounds for group in groups if number < len(group)]


def _panels(
    predictor: Predictor, data: Data, pair: pd.DataFrame, embedded: Embedded
) -> tuple[NDArray[np.uint8], float]:
    """Four pictures side by side, RGB (H, W, 3), and what their strongest colour stands for.

    Of a pair with several clip pairs the first is shown, and its own prediction explained.
    """
    maps = pair_maps(predictor, data, pair, embedded)
    number = predictor.spec.config.data.frames
    frames = [shown_frame(data.cache.frames(scan), number) for scan in maps]
    largest = float(max(np.abs(values).max() for values in maps.values()))
    tiles = []
    for frame, values in zip(frames, maps.values(), strict=True):
        tiles += [np.repeat(frame[..., None], 3, axis=2), overlay(frame, values, largest)]
    return _side_by_side(tiles), largest


def pair_maps(
    predictor: Predictor, data: Data, pair: pd.DataFrame, embedded: Embedded
) -> dict[str, NDArray[np.float64]]:
    """Maps (H, W) of what the earlier and the later scan of a pair add to the predicted change, in that
    order, by scan id.

    Args:
        predictor: of the run.
        data: with the pair's scans.
        pair: one row, as :meth:`Data.pairs` has it, with index 0.
        embedded: what the run makes of the scans as they are.
    """
    clips = clip_pairs(pair, data.of([pair["patient"][0]])).iloc[:1]
    maps = {}
    for side in ("earlier", "later"):
        scan = str(clips[side].iloc[0])
        (clip,) = data.batches([scan], predictor.spec.config.data.frames, "cpu", 1)
        response = PairResponse(predictor, pair, clips, embedded, side)
        attributed = integrated_gradients(clip[0], partial(predictor.slopes, by_output=response.slopes))
        maps[scan] = window_sums(attributed).double().numpy()
    return maps


@dataclass(frozen=True)
class PairResponse:
    """The change that is predicted of a pair, as what one of its scans is changes."""

    predictor: Predictor
    pair: pd.DataFrame
    """One row."""
    clips: pd.DataFrame
    """One row: the pair's two scans."""
    embedded: Embedded
    """What the run makes of the scans as they are."""
    side: str
    """Which scan changes, ``earlier`` or ``later``."""

    def __call__(self, embeddings: NDArray[Any], scores: NDArray[Any]) -> NDArray[np.float64]:
        """p(better) - p(worse), or -p(worse) of decline, (N,), where the scan has these embeddings (N, D) and
        predicted scores (N,), in the score's unit."""
        names = [f"moved {number}" for number in range(len(scores))]
        every = Embedded(
            {**self.embedded.embeddings, **dict(zip(names, embeddings, strict=True))},
            {**self.embedded.predictions, **dict(zip(names, scores.tolist(), strict=True))},
        )
        rows = np.zeros(len(names), int)
        clips, pairs = self.clips.iloc[rows].copy(), self.pair.iloc[rows].reset_index(drop=True)
        clips["index"], clips[self.side] = np.arange(len(names)), names
        fitted = self.predictor.progression
        blocks = features(fitted.config, pairs, clips, every, fitted.places, fitted.covariates)
        found = fitted.predict_blocks(blocks, clips, len(names))
        better = found[:, 2] if found.shape[1] == len(CLASSES) else 0.0
        return np.asarray(better - found[:, 0])

    def slopes(self, embeddings: NDArray[Any], scores: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """The derivatives by embeddings (N, D) and predicted scores (N,), of their shapes.

        By central differences, since classifiers are of other libraries and give none.
        """
        by_embedding, by_score = np.empty(embeddings.shape), np.empty(scores.shape)
        score_step = _small(np.array([*self.embedded.predictions.values()]))
        for number, (embedding, score) in enumerate(zip(embeddings, scores, strict=True)):
            width = len(embedding)
            at = np.append(embedding, score).astype(float)
            steps = np.append(np.full(width, _small(embedding)), score_step)
            moved = np.concatenate([at + np.diag(steps), at - np.diag(steps)])
            up, down = np.split(self(moved[:, :width], moved[:, width]), 2)
            slope = (up - down) / (2 * steps)
            by_embedding[number], by_score[number] = slope[:width], slope[width]
        return by_embedding, by_score


def _small(values: NDArray[Any]) -> float:
    """A small step beside the SD of some numbers."""
    return _SMALL * max(float(values.std()), 1e-6)


def _side_by_side(tiles: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Tiles (H, W, 3) of one size, enlarged by whole numbers, with white between: (h, w, 3)."""
    scale = max(1, -(-_PANEL // tiles[0].shape[0]))
    large = [tile.repeat(scale, axis=0).repeat(scale, axis=1) for tile in tiles]
    gap = np.full((large[0].shape[0], _GAP, 3), 255, np.uint8)
    parts = [part for tile in large for part in (gap, tile)][1:]
    return np.concatenate(parts, axis=1)

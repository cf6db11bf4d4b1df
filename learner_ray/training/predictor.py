"""The predictor of a final run: the files that let it predict other scans, and their use.

``encoder.pt`` holds the network's tensors and ``predictor.json`` everything else: neither can carry code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from learner_ray.cohort import Score
from learner_ray.core.config import Config
from learner_ray.core.errors import UserError
from learner_ray.core.files import write_json
from learner_ray.core.paths import read_json
from learner_ray.encoders.network import Network, Output
from learner_ray.imaging.kinds import kinds_of_scans
from learner_ray.imaging.reader import reader_version
from learner_ray.run.folder import RunFolder
from learner_ray.run.provenance import git_sha, versions
from learner_ray.run.spec import RunSpec
from learner_ray.run.user_code import load_components, with_named_file
from learner_ray.training.data import Data
from learner_ray.training.pretraining import Pretraining, ScoreScale, encode, encode_clips, untrained_network
from learner_ray.training.process import make_deterministic
from learner_ray.training.progression import Embedded, Progression
from learner_ray.training.tensors import UnreadableError, read_tensors, write_tensors

ENCODER = "encoder.pt"
"""File of the network's tensors."""
DESCRIPTION = "predictor.json"
"""File of all else that prediction needs."""


def write_predictor(
    folder: RunFolder, spec: RunSpec, data: Data, pretraining: Pretraining, progression: Progression
) -> None:
    """Writes a final run's encoder and what prediction needs beside it, each whole or not at all."""
    write_tensors(pretraining.network.state_dict(), folder.path / ENCODER)
    cohort, kinds, seen = data.cohort, kinds_of_scans(data.scans), spec.config.data
    shown = cohort.shown(crop=seen.crop, mask=seen.mask).scans
    description = {
        "run_hash": spec.hash,
        "cohort": cohort.name,
        "modality": cohort.modality,
        "phantom": cohort.phantom,
        "score": cohort.score.to_dict(),
        "score_scale": asdict(pretraining.score_scale),
        "kinds": kinds,
        "regions": [name for name in ("crop", "mask") if (shown[name] != "").any()],
        "progression": progression.state(),
        "reader": reader_version(kinds),
        "versions": versions(),
        "git_sha": git_sha(),
    }
    write_json(folder.path / DESCRIPTION, description)


SlopesByOutput = Callable[[NDArray[Any], NDArray[Any]], tuple[NDArray[np.float64], NDArray[np.float64]]]
"""A number's derivatives by embeddings (N, D) and predicted scores (N,), where these are given."""


class Predictor:
    """A complete final run applied to scans it has not seen."""

    def __init__(self, spec: RunSpec, description: Mapping[str, Any], weights: Any, device: str) -> None:
        self.spec = spec
        self.description = description
        self.modality: str = description["modality"]
        self.kinds: list[str] = description["kinds"]
        self.score = Score.from_dict(description["score"])
        self.progression = Progression.restore(description["progression"])
        self._scale = ScoreScale(**description["score_scale"])
        self._device = device
        self._config = _with_encoder(spec)
        # The run's own weights come next: those it started from need not be there any more.
        blank = replace(self._config.encoder, weights="none")
        self._network = untrained_network(replace(self._config, encoder=blank), device)
        self._network.load_state_dict(weights)

    @classmethod
    def load(cls, path: Path, device: str = "cpu", study_file: str | Path | None = None) -> Predictor:
        """The predictor that lies in a run's folder.

        Args:
            path: the folder.
            device: ``cpu`` or ``cuda``.
            study_file: the file that the user named for the run's own code (``with_named_file``).

        Raises:
            UserError: the folder holds no complete final run with an encoder, or its files are damaged.
        """
        folder = RunFolder(path)
        spec = folder.read_spec()
        _require_final(folder, spec)
        if _has_own_encoder(spec):
            spec = replace(spec, source=with_named_file(spec.source, study_file))
        again = f"repeat the run: python -m learner_ray.train {path / 'config.json'} --out FOLDER"
        if not (path / ENCODER).is_file() or not (path / DESCRIPTION).is_file():
            raise UserError(f"{path} lacks {ENCODER} or {DESCRIPTION}; {again}")
        try:
            description = read_json(path / DESCRIPTION, again)
            weights = read_tensors((path / ENCODER).read_bytes())
            if description["run_hash"] != spec.hash:
                raise UserError(f"{path / DESCRIPTION} belongs to run {description['run_hash']}; {again}")
            predictor = cls(spec, description, weights, device)
        except UnreadableError as error:
            raise UserError(f"{path / ENCODER} cannot be used: {error}; {again}") from error
        except (ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise UserError(f"{path}: {ENCODER} or {DESCRIPTION} is damaged ({reason}); {again}") from error
        if fault := folder.fault(spec.hash, models=True):
            raise UserError(f"{path}: {fault}; {again}")
        return predictor

    def embed(self, data: Data, scans: Sequence[str] | None = None) -> Embedded:
        """Embeddings (D,) and predicted scores, in the score's unit, of scans of some data: by default, of
        all."""
        make_deterministic(self.spec.threads)
        wanted = data.scans["scan"].tolist() if scans is None else list(scans)
        return self._embedded(wanted, encode(self._network, data, wanted, self._config, self._device))

    def embed_clips(self, names: Sequence[str], clips: Tensor) -> Embedded:
        """Embeddings (D,) and predicted scores, in the score's unit, of clips that the caller made.

        Args:
            names: of the N clips.
            clips: standardised frames, float32 (N, T, H, W).
        """
        make_deterministic(self.spec.threads)
        return self._embedded(names, encode_clips(self._network, [clips], self._config, self._device))

    def slopes(self, clips: Tensor, by_output: SlopesByOutput) -> Tensor:
        """The gradient by their pixels of a number that is predicted of clips, each by itself, from their
        embedding and their predicted score alone.

        Args:
            clips: standardised frames, float32 (N, T, H, W).
            by_output: the number's derivatives by embeddings (N, D) and scores (N,), in the score's unit.

        Returns:
            float32 (N, T, H, W).

        Raises:
            UserError: an encoder of the user's own computes without gradients.
        """
        make_deterministic(self.spec.threads)
        self._network.eval()
        pixels = clips.detach().to(self._device).requires_grad_(True)
        output = self._network(pixels * 1)  # an encoder may change its input in place, which a leaf refuses
        if not output.embedding.requires_grad:
            raise UserError(
                f"run {self.spec.hash}: its encoder {self.spec.config.encoder.name} computes without "
                "gradients (torch.no_grad, or detach): take that out, or its predictions cannot be explained"
            )
        embeddings, standardised = (
            output.embedding.detach().cpu().numpy(),
            output.score.detach().cpu().numpy(),
        )
        by_embedding, by_score = by_output(embeddings, standardised * self._scale.sd + self._scale.mean)
        slopes = [torch.from_numpy(by_embedding), torch.from_numpy(by_score * self._scale.sd)]
        outputs = [output.embedding, output.score]
        (found,) = torch.autograd.grad(
            outputs, pixels, [s.to(o) for s, o in zip(slopes, outputs, strict=True)]
        )
        return found.cpu()

    @property
    def exported(self) -> tuple[Network, ScoreScale]:
        """The network and the scale of its scores, for a form that runs without this package."""
        return self._network, self._scale

    def _embedded(self, scans: Sequence[str], output: Output) -> Embedded:
        embeddings, standardised = output.embedding.cpu().numpy(), output.score.cpu().numpy()
        return self._scale.embedded(scans, embeddings, standardised)


def _with_encoder(spec: RunSpec) -> Config:
    """A run's configuration, its encoder imported where that is not one of this package."""
    return load_components(spec.source, spec.config) if _has_own_encoder(spec) else spec.config


def _has_own_encoder(spec: RunSpec) -> bool:
    return any(kind == "encoder" for kind, _ in spec.source.components)


def _require_final(folder: RunFolder, spec: RunSpec) -> None:
    remedy = "give the folder of a complete final run: the study's ledger names them in its column run_hash"
    if not spec.is_final:
        raise UserError(f"{folder.path} is a trial of a search; {remedy}")
    state = (folder.state or {}).get("state", "")
    if not state and (fault := folder.fault(spec.hash)):
        raise UserError(f"{folder.path}: {fault}; the sweep that it belongs to trains it again")
    state = state or "unfinished"
    if state != "complete":
        raise UserError(f"{folder.path} is {state}; {remedy}")
    if not spec.config.progression.uses_encoder:
        raise UserError(f"{folder.path} belongs to a control that uses no scan; {remedy}")

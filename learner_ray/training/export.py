"""A final run's encoder in a form that runs without this package, and the check that it computes the same.

The exported network takes clips as ``preprocessing`` of the JSON file beside it describes and gives
embeddings and scores in their unit. It computes in float32.
"""

from __future__ import annotations

import logging
import tempfile
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from learner_ray.core.errors import UserError
from learner_ray.core.files import write_json
from learner_ray.encoders.network import Network
from learner_ray.imaging.geometry import SLICES, SPAN_MM, Geometry
from learner_ray.imaging.raster import BACKGROUND
from learner_ray.training.predictor import Predictor
from learner_ray.training.pretraining import ScoreScale
from learner_ray.training.process import make_deterministic

TOLERANCE = 1e-4
"""The largest difference allowed, relative to the largest number of an output; float32 has seven digits, of
which sums of another order cost some."""
CHECKED = (1, 2, 5)
"""Numbers of clips that the check gives at once."""
INPUT, OUTPUTS = "clips", ("embedding", "score")

Values = NDArray[np.float32]


class Exported(nn.Module):
    """A run's network with scores in their unit: clips (N, T, H, W) to embeddings (N, D) and scores (N,)."""

    def __init__(self, network: Network, scale: ScoreScale) -> None:
        super().__init__()
        self.network = network.float().cpu().eval()
        self.mean, self.sd = scale.mean, scale.sd

    def forward(self, clips: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings (N, D) and scores (N,) of standardised clips (N, T, H, W)."""
        out = self.network(clips)
        return out.embedding, out.score * self.sd + self.mean


class Form(ABC):
    """One kind of file."""

    suffix: ClassVar[str]
    """How the file's name ends."""
    needs: ClassVar[tuple[str, ...]] = ()
    """Packages beside PyTorch, of the extra ``export``."""

    @abstractmethod
    def write(self, network: Exported, example: Tensor, path: Path) -> None:
        """Writes the file. ``example`` (2, T, H, W) is like any input but for the number of clips."""

    @abstractmethod
    def run(self, path: Path, clips: Values) -> tuple[Values, ...]:
        """The outputs of the file alone for clips (N, T, H, W)."""


class Onnx(Form):
    """ONNX, which many runtimes and languages read."""

    suffix = ".onnx"
    needs = ("onnx", "onnxscript", "onnxruntime")

    def write(self, network: Exported, example: Tensor, path: Path) -> None:
        with _quiet():
            program = torch.onnx.export(
                network,
                (example,),
                input_names=[INPUT],
                output_names=[*OUTPUTS],
                dynamic_shapes={INPUT: {0: torch.export.Dim("scans")}},
                dynamo=True,
                verbose=False,
            )
        assert program is not None
        path.write_bytes(program.model_proto.SerializeToString())

    def run(self, path: Path, clips: Values) -> tuple[Values, ...]:
        import onnxruntime

        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        return tuple(session.run([*OUTPUTS], {INPUT: clips}))


class TorchScript(Form):
    """TorchScript, which PyTorch reads without any Python class of ours, from C++ too."""

    suffix = ".torchscript.pt"

    def write(self, network: Exported, example: Tensor, path: Path) -> None:
        with _quiet(), torch.no_grad():
            traced = torch.jit.trace(network, (example,), check_trace=False)  # type: ignore[no-untyped-call]
            traced.save(str(path))

    def run(self, path: Path, clips: Values) -> tuple[Values, ...]:
        with _quiet(), torch.no_grad():
            outputs = torch.jit.load(str(path))(torch.from_numpy(clips))  # type: ignore[no-untyped-call]
        return tuple(each.numpy() for each in outputs)


FORMS: Mapping[str, Form] = {"onnx": Onnx(), "torchscript": TorchScript()}
"""The forms by the name that ``--to`` takes."""


def export(predictor: Predictor, form: Form, path: Path) -> dict[str, float]:
    """Writes an encoder and its description, and compares what the file computes with the run's network.

    Args:
        predictor: of a final run.
        form: the kind of file.
        path: ends in the form's suffix; the description goes beside it as ``.json``.

    Returns:
        The largest difference of each output, relative to its largest number.

    Raises:
        UserError: the encoder cannot be written in this form, or the file computes something else. No file is
            left then.
    """
    make_deterministic(predictor.spec.threads)
    data, network = predictor.spec.config.data, Exported(*predictor.exported)
    shape = (data.frames, data.image_size, data.image_size)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:  # what is not the run's does not leave it
        draft = Path(folder) / path.name
        try:
            found = compare(network, form, draft, shape)
        except (RuntimeError, torch.onnx.errors.OnnxExporterError) as error:
            reason = str(error).strip().splitlines()[0]
            raise UserError(
                f"the encoder {predictor.spec.config.encoder.name!r} cannot be written as {path.name}: "
                f"{reason}. Try the other form; an encoder of your own must use x.shape[0] and not len(x)"
            ) from error
        if not max(found.values()) <= TOLERANCE:
            said = ", ".join(f"{name} by {value:.1e}" for name, value in found.items())
            raise UserError(f"the file computes something else than the run: {said} of the largest number")
        draft.replace(path)
    write_json(description_path(path, form), description(predictor, form, path, found))
    return found


def compare(network: Exported, form: Form, path: Path, shape: tuple[int, int, int]) -> dict[str, float]:
    """Writes a network and runs the file.

    Args:
        network: what to write.
        form: the kind of file.
        path: the file.
        shape: T, H and W of a clip.

    Returns:
        The largest difference of each output, relative to its largest number.
    """
    generator = torch.Generator().manual_seed(0)
    form.write(network, torch.randn((2, *shape), generator=generator), path)
    found = dict.fromkeys(OUTPUTS, 0.0)
    for count in CHECKED:
        clips = torch.randn((count, *shape), generator=generator)
        with torch.no_grad():
            expected = network(clips)
        for name, ours, theirs in zip(OUTPUTS, expected, form.run(path, clips.numpy()), strict=True):
            largest = float(ours.abs().max()) or 1.0
            found[name] = max(found[name], float(np.abs(ours.numpy() - theirs).max()) / largest)
    return found


def description_path(path: Path, form: Form) -> Path:
    """The JSON file beside an exported network."""
    return path.with_name(f"{path.name.removesuffix(form.suffix)}.json")


def description(predictor: Predictor, form: Form, path: Path, found: Mapping[str, float]) -> dict[str, Any]:
    """All that a user of the file must know, as plain values."""
    config, made = predictor.spec.config, predictor.description
    data = config.data
    network, _ = predictor.exported
    geometry = Geometry.of(data)
    return {
        "file": path.name,
        "input": {
            "name": INPUT,
            "shape": ["scans", data.frames, data.image_size, data.image_size],
            "type": "float32",
        },
        "outputs": {
            "embedding": {"shape": ["scans", network.encoder.width], "type": "float32"},
            "score": {"shape": ["scans"], "type": "float32", **made["score"]},
        },
        "preprocessing": {
            "kinds": predictor.kinds,
            "grey": "one channel of 0 to 255; the longer side is resized to image_size, the rest is black. "
            "Pictures: bilinear, averaged over the pixels that fall together; clips: by their decoder",
            "image_size": data.image_size,
            "frames": "the scan is cut into as many equal segments as there are frames; of each the middle "
            "frame, of two the earlier. A shorter scan repeats its frames in order",
            "volume": {
                "levels": data.levels,
                "mm_per_pixel": geometry.step(data.image_size),
                "slices": SLICES,
                "span_mm": SPAN_MM,
            },
            "crop": data.crop,
            "mask": data.mask,
            "standardise": {
                "rule": "(value - mean) / sd; both over all kept frames of the scan, of the pixels above the "
                "background, or of all where none is; sd is 1 at least",
                "background": BACKGROUND,
            },
            "reader": made["reader"],
        },
        "progression": made["progression"],
        "check": {
            "largest_difference": dict(found),
            "relative_to": "the largest number of the output",
            "clips_at_once": list(CHECKED),
        },
        "run_hash": predictor.spec.hash,
        "trained_precision": config.train.precision,
        "cohort": made["cohort"],
        "phantom": made["phantom"],
        "modality": predictor.modality,
        "versions": made["versions"],
    }


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the exporters' own messages off the screen: they speak of PyTorch's source, not of the user's
    run."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def form_named(name: str) -> Form:
    """The form of a name, its packages being installed.

    Raises:
        UserError: one is not.
    """
    import importlib.util

    form = FORMS[name]
    if lacking := [package for package in form.needs if importlib.util.find_spec(package) is None]:
        raise UserError(f"--to {name} needs {', '.join(lacking)}: pip install 'learner-ray[export]'")
    return form

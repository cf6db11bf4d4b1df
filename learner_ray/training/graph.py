"""Replays training steps from CUDA graphs, so that a GPU does not wait for the host to launch its kernels."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

import torch
from torch import Tensor

from learner_ray.training.step import StepInputs, TrainingStep
from learner_ray.training.streams import own_stream

logger = logging.getLogger(__name__)

WARM_UP_STEPS = 3
"""Steps of each shape that are run as they are before one is captured: libraries initialise in them, the
optimiser makes its state, and cuDNN chooses its kernels. They are steps of the run like any other."""

_capturing = threading.Lock()
"""Runs that are trained side by side in one process capture one after the other."""

Work = Callable[[], None]


class Recorder(Protocol):
    """What can record work of a device and repeat it."""

    def run(self, work: Work) -> None:
        """Runs work as it is, so that it can be recorded later."""

    def record(self, work: Work) -> Work:
        """Records work without running it, and gives what repeats it.

        Raises:
            RuntimeError: it cannot be recorded.
        """


class CudaGraphs:
    """Records work in CUDA graphs, which share their memory: they never run at the same time."""

    def __init__(self) -> None:
        # Warm-up and capture share a stream, else autograd would wait for another one while it is captured.
        self._stream: Any = own_stream("graph")
        self._pool: Any = None

    def run(self, work: Work) -> None:
        """Runs work on the stream that is recorded later."""
        current = torch.cuda.current_stream()
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            work()
        current.wait_stream(self._stream)

    def record(self, work: Work) -> Work:
        """Captures work in a graph, whose replay is given back."""
        graph = torch.cuda.CUDAGraph()
        # thread_local: a run beside this one may allocate memory meanwhile.
        options: dict[str, Any] = {"pool": self._pool, "stream": self._stream}
        with _capturing, torch.cuda.graph(graph, capture_error_mode="thread_local", **options):
            work()
        self._pool = graph.pool()
        replay: Work = graph.replay
        return replay


class GraphedStep:
    """A training step that is recorded once for each shape of a batch and then repeated.

    It computes what the step computes. Where recording fails, a line of the log says so and every step is run
    as it is.

    Args:
        step: the step.
        recorder: what records it; None, on CPUs and with several ranks, runs every step as it is.
    """

    def __init__(self, step: TrainingStep, recorder: Recorder | None) -> None:
        self.step = step
        self._recorder = recorder
        self._seen: dict[tuple[object, ...], int] = {}
        self._failed = False
        self._recorded: dict[tuple[object, ...], tuple[Work, StepInputs]] = {}

    @property
    def graphs(self) -> int:
        """The number of shapes recorded so far."""
        return len(self._recorded)

    def __call__(self, inputs: StepInputs, lr: Tensor) -> None:
        """Trains one batch.

        Args:
            inputs: the batch.
            lr: the learning rate, a tensor () on the device.
        """
        self.step.set_lr(lr)
        if self._recorder is None:
            self.step(inputs)
            return
        seen = self._seen[inputs.shape] = self._seen.get(inputs.shape, 0) + 1
        if seen == WARM_UP_STEPS + 1 and not self._failed:
            self._record(self._recorder, inputs)
        if inputs.shape not in self._recorded:
            self._recorder.run(lambda: self.step(inputs))
            return
        repeat, held = self._recorded[inputs.shape]
        for mine, given in zip(held.tensors, inputs.tensors, strict=True):
            mine.copy_(given)
        repeat()

    def _record(self, recorder: Recorder, inputs: StepInputs) -> None:
        clips, rows, keys, batch = (tensor.clone() for tensor in inputs.tensors)
        held = replace(inputs, clips=clips, rows=rows, keys=keys, batch=batch)
        try:
            self._recorded[inputs.shape] = recorder.record(lambda: self.step(held)), held
        except RuntimeError as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            logger.warning(f"no CUDA graph ({reason}): each step is launched kernel by kernel, more slowly")
            self._failed = True
            self.step.optimizer.zero_grad()  # the gradients belong to the memory of what failed

"""Several runs in one process, each in a thread of its own and on a CUDA stream of its own.

What is global to a process, and how runs side by side keep out of each other's way:

* PyTorch's global generator: seeded and drawn from under ``encoders.network.RANDOM``. A network that draws
  while it trains cannot be trained side by side, see :func:`drawing_encoder`.
* Deterministic algorithms, threads per operation and cuBLAS's workspace: must be equal, see
  :func:`process_settings`. PyTorch gives each thread and stream its own workspace.
* Caches of what must be single: ``core.caching``. Filters of warnings: ``metrics.without_warnings``.
* Memory: the allocator keeps what a stream has freed for that stream, and gives it back where another needs
  it. The limit of a process holds for all its runs together.
* Modes of gradients, inference and autocast belong to a thread. The cache of autocast does not: what one run
  clears another casts again, to the same numbers, as long as a weight is used once in a forward pass.

Tensors are not passed between the streams. What several runs read on a device must be complete before the
second one gets it: its maker synchronises.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

import torch

from learner_ray.core.caching import cached_once
from learner_ray.core.config import Config, EncoderConfig
from learner_ray.encoders.network import RANDOM, Network
from learner_ray.run.spec import RunSpec
from learner_ray.run.user_code import load_components
from learner_ray.training.streams import own_stream
from learner_ray.training.throughput import TimedTraining, train_for

T = TypeVar("T")


def own_thread() -> ThreadPoolExecutor:
    """A thread for one run at a time, from its opening to its end. On a GPU all that it launches goes to a
    stream of its own, whose memory the next run in the thread reuses."""
    return ThreadPoolExecutor(1, "run", initializer=_take_own_stream)


def _take_own_stream() -> None:
    if torch.cuda.is_available():
        torch.cuda.set_stream(own_stream("run"))


def side_by_side(work: Sequence[Callable[[], T]]) -> list[T | Exception]:
    """Does all of the work at the same time, each piece in a thread of its own, and waits for all.

    Returns:
        What each piece returned, or the exception it raised, which touches no other.
    """
    threads = [own_thread() for _ in work]
    futures = [thread.submit(piece) for thread, piece in zip(threads, work, strict=True)]
    results: list[T | Exception] = []
    for thread, future in zip(threads, futures, strict=True):
        thread.shutdown()
        error = future.exception()
        if error is not None and not isinstance(error, Exception):
            raise error
        results.append(future.result() if error is None else error)
    return results


def process_settings(spec: RunSpec) -> tuple[Any, ...]:
    """What a run sets for its whole process: runs that differ in it cannot be trained side by side."""
    return spec.threads, spec.config.train.deterministic


def train_all_for(spec: RunSpec, runs: int, seconds: float) -> list[TimedTraining]:
    """Trains steps of so many equal runs side by side for some seconds and keeps nothing."""
    timed = side_by_side([partial(train_for, spec, seconds)] * runs)
    for one in timed:
        if isinstance(one, Exception):
            raise one
    return [one for one in timed if not isinstance(one, Exception)]


def why_not_side_by_side(spec: RunSpec) -> str:
    """Why runs like this one cannot share a process, as a sentence without its full stop; else empty."""
    return drawing_encoder(load_components(spec.source, spec.config))


def drawing_encoder(config: Config) -> str:
    """Why runs of a configuration cannot share a process, as a sentence without its full stop; else empty.

    A network that draws from the global generator while it trains, as dropout does, would draw what its
    neighbours leave. Whether it does is tried out, since a layer's class need not show it.
    """
    if not config.progression.uses_encoder or not _draws(
        config.encoder, config.data.frames, config.data.image_size
    ):
        return ""
    return (
        f"the encoder {config.encoder.name!r} draws random numbers while it trains, as dropout does, and "
        "runs in one process would take each other's"
    )


@cached_once(maxsize=64)
def _draws(config: EncoderConfig, frames: int, image_size: int) -> bool:
    """Whether a network draws random numbers in a training step."""
    with RANDOM, torch.random.fork_rng(devices=[]), torch.no_grad():
        network = Network(config, frames).train()
        before = torch.default_generator.get_state()
        network(torch.zeros(2, frames, image_size, image_size))
        return not torch.equal(before, torch.default_generator.get_state())

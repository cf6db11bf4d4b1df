"""How fast an epoch went, and how much of its device was in use meanwhile."""

from __future__ import annotations

import threading
import time
from types import TracebackType

import torch

from learner_ray.run.provenance import processor

SECONDS_BETWEEN_SAMPLES = 1.0
"""The driver of a GPU says how busy it was in the last second or less."""


def synchronise(device: str) -> None:
    """Waits until a device has done what this thread gave it, so that a clock may be read."""
    if device.startswith("cuda"):
        # Not the whole device: a run beside this one may be recording a graph, which forbids that.
        torch.cuda.current_stream(device).synchronize()


def model_of(device: str) -> str:
    """The name of a device's make: the card's, or the processor's with the number of threads in use."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"{processor() or 'a CPU'} ({threads} thread{'s' if threads > 1 else ''})"


def training_speed(*, scans: int, seconds: float, waited: float) -> dict[str, float]:
    """The speed of an epoch's training, for its progress row.

    Args:
        scans: scans that were trained, each counted once however many views of it there are.
        seconds: duration of the training, without the evaluation after it.
        waited: seconds of it in which training waited for pixels.

    Returns:
        ``speed/scans_per_s``, scans per second of all the run's devices together, and ``speed/data_wait``,
        the share of the time that was waited, 0 to 1.
    """
    if seconds <= 0:
        return {}
    return {"speed/scans_per_s": scans / seconds, "speed/data_wait": min(waited / seconds, 1.0)}


class Utilisation:
    """Finds out, while the context lasts, in which share of the time the device was in use.

    On a CPU: the processor seconds of this process, all its threads together, out of the duration times the
    number of PyTorch's threads, and at most 1. Other processes are not counted, nor are reads of files.

    On a GPU: the mean of samples, one a second, of what NVIDIA's driver (NVML) calls utilisation: the share
    of the last sixth of a second to second in which any kernel ran, of this process or of another on the same
    card. It does not say how much of the card a kernel filled: 1 is no proof of good use, but 0.3 is of bad.
    An epoch shorter than a sample has one, taken at its end, which reaches back before it.

    Args:
        device: ``cpu`` or ``cuda``, with or without a number.
    """

    def __init__(self, device: str) -> None:
        self._device = device
        self._samples: list[float] = []
        self._ended = threading.Event()
        self._sampling: threading.Thread | None = None
        self._began = self._worked = self._share = 0.0

    def __enter__(self) -> Utilisation:
        if self._device.startswith("cuda"):
            # A daemon: it must not keep a process that ends.
            self._sampling = threading.Thread(target=self._sample_until_ended, daemon=True)
            self._sampling.start()
        self._began, self._worked = time.perf_counter(), time.process_time()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        available = (time.perf_counter() - self._began) * torch.get_num_threads()
        if available > 0:
            self._share = min((time.process_time() - self._worked) / available, 1.0)
        if self._sampling is not None:
            self._ended.set()
            self._sampling.join()

    def row(self) -> dict[str, float]:
        """``speed/utilisation``, 0 to 1, for a progress row; empty where a GPU's driver does not tell."""
        if not self._device.startswith("cuda"):
            return {"speed/utilisation": self._share}
        if not self._samples:
            return {}
        return {"speed/utilisation": sum(self._samples) / len(self._samples)}

    def _sample_until_ended(self) -> None:
        ended = False
        while not ended:
            ended = self._ended.wait(SECONDS_BETWEEN_SAMPLES)
            sample = gpu_utilisation(self._device)
            if sample is None:
                return
            self._samples.append(sample)


def gpu_utilisation(device: str) -> float | None:
    """What the driver says of a GPU's use, 0 to 1; None where it or its Python package ``nvidia-ml-py`` is
    missing, or where it may not be asked, as on some virtual GPUs."""
    try:
        return float(torch.cuda.utilization(device)) / 100
    except Exception:  # whatever NVML raises: a number that is shown must end no run
        return None

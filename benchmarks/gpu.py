"""What a training step costs on a GPU, how far it is from the bound, and how many runs a GPU can share.

    python benchmarks/gpu.py [--json FILE] [--seconds 2] [--limit 460] [--dry]

Needs torch, numpy and this checkout; clips are made up. Prints a table, and writes the same as JSON after
each figure, so that nothing is lost if time runs out: what would begin after ``--limit`` seconds is left out,
and said so. Runs ``pytest -m gpu`` too, where pytest is installed. ``--dry`` runs the same on a CPU, small.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import gpu_ways as ways
from benchmarks.gpu_ways import PLACES, STEPS, Ours, Plain, config_of, ms_per_step
from learner_ray.core.components import LOSSES
from learner_ray.core.config import Config
from learner_ray.core.files import write_atomic
from learner_ray.training.speed import Utilisation, gpu_utilisation

ROOT = Path(__file__).resolve().parents[1]


@dataclass
class Bench:
    """One run of all measurements."""

    device: str
    seconds: float
    limit: float
    size: int
    frames: int
    batch: int
    file: Path | None
    found: dict[str, Any] = field(default_factory=dict)
    begun: float = field(default_factory=time.perf_counter)

    @property
    def gpu(self) -> bool:
        """Whether this is no dry run."""
        return self.device == "cuda"

    def note(self, name: str, value: Any) -> None:
        """Prints a figure and writes all so far."""
        self.found[name] = value
        print(f"{name:58s} {value:10.3f}" if isinstance(value, float) else f"{name:58s} {value}", flush=True)
        if self.file:
            self.file.write_text(json.dumps(self.found, indent=1) + "\n")

    def measure(self, name: str, call: Callable[[], Any]) -> Any:
        """Notes what a measurement gives; one that fails costs no other. None where it gave nothing."""
        if time.perf_counter() - self.begun > self.limit:
            self.note(name, "left out: no time")
            return None
        try:
            value = call()
        except Exception as error:
            reason = str(error).splitlines()[0][:140] if str(error) else ""
            self.note(name, f"failed: {type(error).__name__}: {reason}")
            return None
        finally:
            if self.gpu:
                torch.cuda.empty_cache()
        self.note(name, value)
        return value

    def config(self, **values: Any) -> Config:
        """The configuration of most measurements, with changes."""
        precision = "bfloat16" if self.gpu else "float32"
        shape = {"size": self.size, "frames": self.frames, "batch": self.batch}
        shape |= {key: values.pop(key) for key in list(values) if key in shape}
        return config_of(**shape, **({"loss_name": "contrastive", "train_precision": precision} | values))

    def ours(self, place: str = "", *, graph: bool | None = None, **values: Any) -> Ours:
        """A trainer of this package: by default as a sweep would have it on this device."""
        where = PLACES[place or ("resident" if self.gpu else "mapped")]
        return Ours(self.config(**values), self.device, where, graph=self.gpu if graph is None else graph)

    def ms(self, trainer: Ours | Plain) -> float:
        """Milliseconds of a step."""
        steps = STEPS if self.gpu else 2
        return ms_per_step(lambda: trainer.epoch(steps), self.device, self.seconds, steps)


class Roofline(TorchDispatchMode):
    """Floating-point operations of a step, and the bytes that its operations read and write at least."""

    def __init__(self) -> None:
        super().__init__()
        self.costs: list[tuple[int, int]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        flops = 0
        if func._overloadpacket in flop_registry:
            flops = flop_registry[func._overloadpacket](*args, **(kwargs or {}), out_val=out)
        if not func.is_view:
            tensors = [t for t in tree_leaves((args, kwargs, out)) if isinstance(t, torch.Tensor)]
            moved = {t.data_ptr(): t.nbytes for t in tensors}
            self.costs.append((flops, sum(moved.values())))
        return out

    def bound_ms(self, flops_per_s: float, bytes_per_s: float) -> float:
        """Milliseconds if every operation took the longer of its arithmetic and its traffic, at the measured
        peaks: what no kernel that computes one operation can beat. Fused kernels move fewer bytes."""
        return 1000 * sum(max(f / flops_per_s, b / bytes_per_s) for f, b in self.costs)


def peaks(bench: Bench) -> tuple[float, float]:
    """Operations and bytes per second of this device, by a large product and a large copy."""
    n, size, dtype = (8192, 2**30, torch.bfloat16) if bench.gpu else (512, 2**24, torch.float32)
    a = torch.randn(n, n, device=bench.device, dtype=dtype)
    b = torch.randn(n, n, device=bench.device, dtype=dtype)
    source = torch.randint(0, 256, (size,), dtype=torch.uint8, device=bench.device)
    target = torch.empty_like(source)

    def seconds(call: Callable[[], Any], times: int = 20) -> float:
        return ms_per_step(lambda: [call() for _ in range(times)], bench.device, 0.5, times) / 1000

    return 2 * n**3 / seconds(lambda: a @ b), 2 * size / seconds(lambda: target.copy_(source))


def steps_of_one_run(bench: Bench) -> None:
    """The step by each way, and its share of the bound."""
    flops_per_s, bytes_per_s = peaks(bench)
    bench.note("peak TFLOP/s (large product)", flops_per_s / 1e12)
    bench.note("peak GB/s (large copy, read + write)", bytes_per_s / 1e9)
    roofline = Roofline()
    counted = bench.ours(graph=False)
    counted.epoch(2)
    with roofline:
        counted.epoch(1)
    bench.note("GFLOP of a step", sum(f for f, _ in roofline.costs) / 1e9)
    bench.note("GB of a step, operation by operation", sum(b for _, b in roofline.costs) / 1e9)
    bound = roofline.bound_ms(flops_per_s, bytes_per_s)
    bench.note("ms bound of a step, operation by operation", bound)
    arithmetic = 1000 * sum(f for f, _ in roofline.costs) / flops_per_s
    bench.note("ms bound of a step, arithmetic alone", arithmetic)
    in_float32 = bench.config(train_precision="float32")
    what = "ms plain: float32, NCHW, copied and read each step"
    plain = bench.measure(what, lambda: bench.ms(Plain(in_float32, bench.device)))
    for place in ("mapped", "streamed", "resident"):
        name = f"ms ours, {place} frames, kernel by kernel"
        bench.measure(name, lambda p=place: bench.ms(bench.ours(p, graph=False)))
    if bench.gpu:
        bench.measure("ms ours, streamed frames, CUDA graph", lambda: bench.ms(bench.ours("streamed")))
    best = bench.measure("ms ours, as a sweep trains", lambda: bench.ms(bench.ours()))
    if plain and best:
        bench.note("plain / ours", plain / best)
        bench.note("share of the bound, operation by operation", bound / best)
        bench.note("share of the bound, arithmetic alone", arithmetic / best)
    for place in ("streamed", "resident") if bench.gpu else ("mapped",):
        name = f"share of an epoch waiting for frames, {place}"
        bench.measure(name, lambda p=place: waiting(bench.ours(p), bench))


def waiting(ours: Ours, bench: Bench) -> float:
    """The share of an epoch in which the device waited for frames."""
    steps = STEPS if bench.gpu else 2
    for _ in range(2):
        begin = time.perf_counter()
        ours.epoch(steps)
        taken = time.perf_counter() - begin
    return ours.waited / taken


def what_changes_it(bench: Bench) -> None:
    """Shift, precision, determinism, losses, batch and size."""
    changes: dict[str, dict[str, Any]] = {
        "without temporal shift": {"encoder_shift_fraction": 0.0},
        "float32": {"train_precision": "float32"},
        "not deterministic (cudnn.benchmark)": {"train_deterministic": False},
        "SGD": {"train_optimizer": "sgd"},
    }
    for loss in sorted(LOSSES.built_in):
        changes[f"loss {loss} ({LOSSES.get(loss).views} views)"] = {"loss_name": loss}
    for name, values in changes.items():
        bench.measure(f"ms {name}", lambda v=values: bench.ms(bench.ours(**v)))
    for batch in (8, 32, 64) if bench.gpu else (2,):
        bench.measure(f"ms {batch} clips a step", lambda b=batch: bench.ms(bench.ours(batch=b)))
    for size in (64, 160, 224) if bench.gpu else ():
        bench.measure(f"ms {size} px", lambda s=size: bench.ms(bench.ours(size=s)))


def same_bits(bench: Bench) -> None:
    """Whether ways that must agree do, after two epochs; and the memory that they take."""

    def weights(*arguments: Any, **values: Any) -> torch.Tensor:
        trainer = bench.ours(*arguments, **values)
        for _ in range(2):
            trainer.epoch(STEPS if bench.gpu else 2)
        return trainer.weights()

    first = weights(graph=False)
    bench.measure("same bits: again", lambda: torch.equal(weights(graph=False), first))
    for place in PLACES:
        equal = lambda p=place: torch.equal(weights(p, graph=False), first)  # noqa: E731
        bench.measure(f"same bits: {place} frames", equal)
    if not bench.gpu:
        return
    bench.measure("same bits: CUDA graph", lambda: torch.equal(weights(), first))
    for loss in sorted(LOSSES.built_in):
        equal = lambda n=loss: torch.equal(weights(loss_name=n), weights(loss_name=n, graph=False))  # noqa: E731
        bench.measure(f"same bits: CUDA graph, {loss}", equal)
    for name, graph in (("kernel by kernel", False), ("CUDA graph", True)):
        bench.measure(f"MiB at most, {name}", lambda g=graph: most_memory(bench, graph=g))


def most_memory(bench: Bench, *, graph: bool) -> float:
    """MiB that the allocator held at most for one run, frames included."""
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    bench.ours(graph=graph).epoch()
    return torch.cuda.max_memory_reserved() / 2**20


def side_by_side(bench: Bench) -> None:
    """Clips per second of several runs on one device, by threads of one process and by processes."""
    alone = bench.measure("clips/s, 1 run", lambda: threads(bench, 1))
    for runs in (2, 4, 8) if bench.gpu else (2,):
        together = bench.measure(f"clips/s, {runs} runs in one process", lambda k=runs: threads(bench, k))
        if alone and together:
            bench.note(f"{runs} runs in one process / one after the other", together / alone)
    mps = os.environ.get("CUDA_MPS_PIPE_DIRECTORY") or Path("/tmp/nvidia-mps").exists()
    for runs in (1, 2, 4) if bench.gpu else (2,):
        name = f"clips/s, {runs} processes{' under MPS' if mps else ''}"
        together = bench.measure(name, lambda k=runs: processes(bench, k))
        if alone and together and runs > 1:
            bench.note(f"{runs} processes / one run after the other", together / alone)


def threads(bench: Bench, runs: int) -> float:
    """Clips per second of runs that are trained by threads, each on a stream of its own."""
    rates: list[float] = []
    ready = threading.Barrier(runs)

    def work() -> None:
        if bench.gpu:
            torch.cuda.set_stream(torch.cuda.Stream())  # type: ignore[no-untyped-call]
        ours = bench.ours()
        ours.epoch()
        ready.wait()
        rates.append(ways.train_until(ours, bench.seconds))

    started = [threading.Thread(target=work) for _ in range(runs)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    if len(rates) != runs:
        raise RuntimeError("a run failed; see above")
    return sum(rates)


def processes(bench: Bench, runs: int) -> float:
    """Clips per second of runs that have a process each."""
    options = {
        "size": bench.size, "frames": bench.frames, "batch": bench.batch, "device": bench.device,
        "place": "resident" if bench.gpu else "mapped", "graph": bench.gpu, "seconds": bench.seconds,
    }  # fmt: skip
    command = [sys.executable, str(ROOT / "benchmarks/gpu_ways.py"), json.dumps(options)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    children = [subprocess.Popen(command, **pipes) for _ in range(runs)]  # type: ignore[call-overload]
    for child in children:
        if child.stdout.readline().strip() != "ready":
            raise RuntimeError("a process failed; see above")
    for child in children:
        child.stdin.write("go\n")
        child.stdin.flush()
    rates = [float(child.stdout.readline()) for child in children]
    for child in children:
        child.wait()
    return sum(rates)


def around_an_epoch(bench: Bench) -> None:
    """What an epoch of a run does besides training: an epoch of a small study takes no longer than this."""

    def ms(call: Callable[[], Any], times: int = 20) -> float:
        begin = time.perf_counter()
        for _ in range(times):
            call()
        return 1000 * (time.perf_counter() - begin) / times

    if bench.gpu:
        bench.measure("ms the driver's word on utilisation", lambda: ms(lambda: gpu_utilisation("cuda")))
        bench.measure("ms an epoch's watch of utilisation", lambda: ms(lambda: watched("cuda")))
    with tempfile.TemporaryDirectory(dir=ROOT) as folder:
        file = Path(folder) / "progress.jsonl"
        bench.measure("ms a small file written for good", lambda: ms(lambda: write_atomic(file, "x" * 5000)))


def watched(device: str) -> None:
    """An epoch that does nothing, watched as a real one is."""
    with Utilisation(device):
        pass


def tests_on_a_gpu(bench: Bench) -> None:
    """The tests that need a GPU."""
    left = bench.limit - (time.perf_counter() - bench.begun)
    # Files without such a test may need what is not installed here.
    files = [str(p) for p in ROOT.glob("tests/**/test_*.py") if "mark.gpu" in p.read_text()]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-m",
        "gpu",
        "-q",
        "-rs",
        "--continue-on-collection-errors",
        *files,
    ]

    def last_line() -> str:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=max(left, 30))
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        if done.returncode:
            print("\n".join(lines[-60:]))
        return f"exit {done.returncode}: {lines[-1] if lines else ''}"

    bench.measure("pytest -m gpu", last_line)


def commit() -> str:
    """The commit of the checkout, where git can tell."""
    done = subprocess.run(
        ["git", "rev-parse", "--short=12", "HEAD"], cwd=ROOT, capture_output=True, text=True
    )
    return done.stdout.strip() or "unknown"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    parser.add_argument("--limit", type=float, default=460.0, help="seconds after which nothing new begins")
    parser.add_argument("--dry", action="store_true", help="small, on the CPU")
    args = parser.parse_args()
    if not args.dry and not torch.cuda.is_available():
        raise SystemExit("no GPU here: --dry runs the same on the CPU")
    size, frames, batch = (32, 2, 4) if args.dry else (112, 8, 16)
    device = "cpu" if args.dry else "cuda"
    seconds = min(args.seconds, 0.2) if args.dry else args.seconds
    bench = Bench(device, seconds, args.limit, size, frames, batch, args.json)
    bench.note("card", "none: dry run on a CPU" if args.dry else torch.cuda.get_device_name())
    bench.note("date, commit, torch", f"{date.today()}, {commit()}, {torch.__version__}")
    bench.note("clips a step, frames, px", f"{batch}, {frames}, {size}")
    for part in (steps_of_one_run, tests_on_a_gpu, side_by_side, what_changes_it, same_bits, around_an_epoch):
        part(bench)
    bench.note("seconds in all", time.perf_counter() - bench.begun)


if __name__ == "__main__":
    main()

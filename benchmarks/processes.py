"""Processes of benchmarks: a sweep as a command; a process and all below it, read from ``/proc``, with names,
memory and processor time; and their end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def sweep_command(data: Path, out: Path, *options: str, study: str = "lus") -> list[str]:
    """A sweep as a command line of this Python."""
    return [
        sys.executable, "-m", "learner_ray.sweep", study, "--data", str(data), "--out", str(out), *options,
    ]  # fmt: skip


def tree(root: int) -> Iterator[int]:
    """A process and all below it that run now."""
    children: dict[int, list[int]] = defaultdict(list)
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            children[int(_stat(int(entry.name))[1])].append(int(entry.name))
        except OSError:
            continue
    waiting = [root]
    while waiting:
        process = waiting.pop()
        waiting += children[process]
        yield process


def named(pids: Iterable[int], name: str) -> list[int]:
    """The processes that Ray gave a name."""
    titles = {}
    for pid in pids:
        with contextlib.suppress(OSError):
            titles[pid] = Path(f"/proc/{pid}/cmdline").read_text()
    return [pid for pid, title in titles.items() if name in title]


def end(processes: Iterable[int]) -> None:
    """Kills them; some may have gone already."""
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def pss_gib(root: int, kind: Callable[[bool, str], str]) -> dict[str, float]:
    """Proportional set sizes in GiB, added up by kind.

    Args:
        root: process at the top of the tree.
        kind: names a process from whether it is the root, and its command line.
    """
    sizes: dict[str, float] = defaultdict(float)
    for process in tree(root):
        try:
            command = Path(f"/proc/{process}/cmdline").read_text().replace("\0", " ")
            rollup = Path(f"/proc/{process}/smaps_rollup").read_text()
        except OSError:
            continue
        size = next((line.split()[1] for line in rollup.splitlines() if line.startswith("Pss:")), "0")
        sizes[kind(process == root, command)] += int(size) / 2**20
    return sizes


def peak_pss_gib(
    child: subprocess.Popen[bytes], kind: Callable[[bool, str], str], every_s: float = 1.0
) -> dict[str, float]:
    """The highest of each kind until a child ends."""
    peaks: dict[str, float] = defaultdict(float)
    while child.poll() is None:
        for name, size in pss_gib(child.pid, kind).items():
            peaks[name] = max(peaks[name], size)
        time.sleep(every_s)
    return peaks


def peak_rss_gib(root: int) -> float:
    """The highest resident set that each process of a tree ever had, added up."""
    size = 0
    for process in tree(root):
        try:
            status = Path(f"/proc/{process}/status").read_text()
        except OSError:
            continue
        size += next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")), 0)
    return size / 2**20


def processor_seconds(root: int) -> float:
    """Processor time of a process and all below it that run now, in seconds."""
    ticks = 0
    for process in tree(root):
        try:
            ticks += sum(map(int, _stat(process)[11:13]))
        except OSError:
            continue
    return ticks / TICKS_PER_SECOND


def _stat(process: int) -> list[str]:
    """The fields of ``/proc/PID/stat`` after the command's name: state, parent ..."""
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()

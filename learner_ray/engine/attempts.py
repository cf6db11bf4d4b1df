"""Decides from how often each run was tried whether it has failed, a device is put aside or the study stops.

Knows neither Ray nor files. What happened to a run before it finished an epoch that it had never reached does
not count any more: else long runs would fail more than short ones.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from learner_ray.engine.faults import Fault, Kind

PATIENCE = 10
"""Faults of one run without a new epoch, after which the study stops, no matter what is to blame."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The consequence of a fault. The run is tried again where it has not failed."""

    failed: str = ""
    """Why the run has failed for good."""
    stops: str = ""
    """Why the study stops."""
    alone: bool = False
    """Whether to try it again with nothing beside it."""
    last: bool = False
    """Whether to try all others first."""
    aside: str = ""
    """A device that is given no run any more; empty for none."""


@dataclass
class _Tried:
    """The faults of one run since its last new epoch."""

    faults: list[tuple[Fault, int]] = field(default_factory=list)
    """The faults, each with the number of epochs that its device had finished then."""
    alone: bool = False
    """Whether the attempt that runs now, or is to, has nothing beside it."""


class Attempts:
    """The record of a study's runs and devices.

    Args:
        devices: how many there are now, those put aside included.
    """

    def __init__(self, devices: Callable[[], int]) -> None:
        self.aside: set[str] = set()
        self._devices = devices
        self._tried: defaultdict[str, _Tried] = defaultdict(_Tried)
        self._furthest: Counter[str] = Counter()
        self._epochs: Counter[str] = Counter()
        """How many epochs each device has finished."""
        self._hit: defaultdict[str, dict[str, int]] = defaultdict(dict)
        """The runs that had an error of each device, each with the epochs that the device had finished."""

    def epoch(self, run: str, number: int, device: str) -> None:
        """Records an epoch of a run: finished on a device, or the last one of before a restart (no
        device)."""
        if device:
            self._epochs[device] += 1
        if number > self._furthest[run]:
            self._furthest[run] = number
            self._tried.pop(run, None)

    def devices_of(self, run: str) -> set[str]:
        """The devices on which a run had an error of the device since its last new epoch."""
        return {fault.device for fault, _ in self._tried[run].faults if fault.kind is Kind.DEVICE}

    def judge(self, run: str, fault: Fault) -> Verdict:
        """Decides what follows from a run's fault."""
        if fault.kind in (Kind.PLACE, Kind.STORAGE):
            return Verdict(stops=fault.reason)
        tried = self._tried[run]
        was_alone, tried.alone = tried.alone, False
        verdict = self._of_device(run, fault) if fault.kind is Kind.DEVICE else Verdict()
        if not verdict.aside:
            tried.faults.append((fault, self._epochs[fault.device]))
        if verdict.failed:
            return verdict
        if failed := _failed(fault, [earlier for earlier, _ in tried.faults], was_alone=was_alone):
            return Verdict(failed=failed)
        if verdict.stops or len(tried.faults) >= PATIENCE:
            often = f"{run}: {fault.reason}, {len(tried.faults)} times without an epoch between"
            return Verdict(stops=verdict.stops or often)
        # Most deaths that nobody explains are the kernel's doing, for want of memory.
        tried.alone = fault.kind is Kind.MEMORY or (fault.kind is Kind.DEATH and not fault.hung)
        return Verdict(alone=tried.alone, last=verdict.last, aside=verdict.aside)

    def _of_device(self, run: str, fault: Fault) -> Verdict:
        """Decides whether the run, the device or still nobody is to blame for an error of the device."""
        tried, device = self._tried[run], fault.device
        for earlier, epochs in tried.faults:
            if earlier.kind is not Kind.DEVICE:
                continue
            if earlier.device != device:
                return self._fails(run, f"{fault.reason}, on two devices")
            if self._epochs[device] > epochs:
                return self._fails(run, f"{fault.reason}, twice on a device that is well otherwise")
        hit = self._hit[device]
        hit[run] = self._epochs[device]
        if len(hit) < 2:
            return Verdict(last=True)
        if len(self.aside | {device}) < self._devices():
            self._put_aside(device)
            return Verdict(aside=device)
        in_a_row = sum(epochs == self._epochs[device] for epochs in hit.values())
        if in_a_row < 2:
            return Verdict(last=True)  # the only device that is left, and it can still finish an epoch
        return Verdict(stops=f"{device} raises an error for every run: {fault.reason}")

    def _fails(self, run: str, reason: str) -> Verdict:
        for hit in self._hit.values():
            hit.pop(run, None)
        return Verdict(failed=reason)

    def _put_aside(self, device: str) -> None:
        """Gives a device no more runs, and forgets the errors that it caused."""
        self.aside.add(device)
        del self._hit[device]
        for tried in self._tried.values():
            tried.faults = [
                (fault, epochs)
                for fault, epochs in tried.faults
                if fault.kind is not Kind.DEVICE or fault.device != device
            ]


def _failed(last: Fault, faults: list[Fault], *, was_alone: bool) -> str:
    """The reason why a run has failed whose last fault is not a device's; empty where it has not."""
    if last.kind is Kind.MEMORY and was_alone:
        return f"{last.reason}, alone on its device"
    if last.kind is Kind.DEATH:
        reasons = [fault.reason for fault in faults if fault.kind is Kind.DEATH]
        why = reasons[0] if len(set(reasons)) == 1 else "; then ".join(reasons)
        return f"{why}, {len(reasons)} times" if len(reasons) > 1 else ""
    if last.kind is Kind.RUN:
        alike = [f for f in faults[:-1] if f.is_like(last) and f.process != last.process]
        return last.reason if alike else ""
    return ""

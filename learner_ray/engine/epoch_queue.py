"""Passes work from trials to the worker groups that train them, and the epochs' results back."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from learner_ray.engine.faults import Fault

HOPELESS_AFTER = 3


@dataclass(frozen=True, kw_only=True)
class EpochRequest:
    """One epoch of a run."""

    number: int
    """Counts up within a worker group, from one."""
    folder: str
    """The run's."""
    fresh: bool
    """Begin with what the run's files hold, whatever the ranks remember."""


@dataclass(frozen=True, kw_only=True)
class EpochResult:
    """What came of an request."""

    row: dict[str, Any] | None = None
    """The epoch's progress; None where the run ended instead."""
    fault: Fault | None = None
    """Why it was not carried out to the end. The ranks end with it."""
    restored: bool = False
    """The row is that of an epoch of before a restart."""
    absent: bool = False
    """There are no ranks: nobody has begun it."""
    waiting: bool = False
    """Another sweep trains the run: nobody has begun it here."""


@dataclass(frozen=True, kw_only=True)
class GroupStatus:
    """Which worker groups can take a run."""

    groups: dict[int, str]
    """With their placement groups."""
    hopeless: str
    """Why none ever will; empty while there is hope. An autoscaler may take minutes to bring a node."""


@dataclass
class _Mailbox:
    """Of one worker group."""

    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    request: EpochRequest = field(default_factory=lambda: EpochRequest(number=0, folder="", fresh=True))
    answer: EpochResult | None = field(default_factory=EpochResult)
    """To ``request``; None while it is being carried out."""
    lost: Fault | None = None
    """Why the last ranks have died; None once a run was begun afresh."""
    placement_group: str = ""
    """Of the ranks that came for work; empty while there are none."""
    ended: str = ""
    """The placement group of ranks that have died or are to, whose stragglers may still come."""
    failed_starts: int = 0

    @property
    def is_up(self) -> bool:
        return bool(self.placement_group) and self.placement_group != self.ended

    def end(self, fault: Fault) -> None:
        """No more of these ranks."""
        self.lost, self.ended = fault, self.placement_group or self.ended
        if self.answer is None:
            self.answer = EpochResult(fault=fault)
        self.changed.notify_all()


class EpochQueue:
    """An asynchronous actor with a mailbox for each worker group.

    Ranks come for work and are never called: a rank that waits is in no collective that could run into its
    time limit, and one that is told to leave simply returns. Orders are for groups that are up.

    Args:
        groups: how many worker groups there are.
        hopeless_after: failed starts of each, after which none is expected to come up, if none ever did.
    """

    def __init__(self, groups: int, hopeless_after: int = HOPELESS_AFTER) -> None:
        self._hopeless_after = hopeless_after
        self._mailboxes = [_Mailbox() for _ in range(groups)]
        self._closed = False
        self._worked = False
        """Whether any group was ever up."""

    async def ask(self, group: int, folder: str, fresh: bool) -> EpochResult:
        """From a trial: the next epoch of its run."""
        box = self._mailboxes[group]
        async with box.changed:
            if box.lost and not fresh:
                return EpochResult(fault=box.lost)
            if not box.is_up:
                return EpochResult(absent=True)
            request = EpochRequest(number=box.request.number + 1, folder=folder, fresh=fresh)
            box.request, box.answer, box.lost = request, None, None
            box.changed.notify_all()
            await box.changed.wait_for(lambda: box.answer is not None)
            assert box.answer is not None
            return box.answer

    async def take(self, group: int, after: int, placement_group: str) -> EpochRequest | None:
        """From each rank: the request after the one it knows, or None when it may leave."""
        box = self._mailboxes[group]
        async with box.changed:
            if placement_group != box.ended:
                box.placement_group, self._worked = placement_group, True
            # A straggler of an ended group waits for its own end: Train takes ranks that return for done.
            await box.changed.wait_for(
                lambda: (
                    self._closed
                    or (placement_group != box.ended and box.request.number > after and box.answer is None)
                )
            )
            return None if self._closed else box.request

    async def answer(self, group: int, number: int, answer: EpochResult) -> None:
        """From the first rank; or from any in which something went wrong, and then these ranks are to end."""
        box = self._mailboxes[group]
        async with box.changed:
            if number == box.request.number and box.answer is None:
                box.answer = answer
                if answer.fault:
                    box.end(answer.fault)  # the next run must not be given to them
                box.changed.notify_all()

    async def up(self) -> GroupStatus:
        """Once any group was up, one that is gone is waited for: spot nodes come back in hours."""
        none = not self._worked and all(box.failed_starts >= self._hopeless_after for box in self._mailboxes)
        groups = {group: box.placement_group for group, box in enumerate(self._mailboxes) if box.is_up}
        lost = self._mailboxes[0].lost
        return GroupStatus(groups=groups, hopeless=lost.reason if none and lost else "")

    async def end(self, group: int, placement_group: str, fault: Fault) -> bool:
        """From the driver: these ranks are to be ended; false where they have been already."""
        box = self._mailboxes[group]
        async with box.changed:
            theirs = box.is_up and box.placement_group == placement_group
            if theirs:
                box.end(fault)
            return theirs

    async def lose(self, group: int, fault: Fault) -> str:
        """From the driver: a group's ranks have died. Their placement group's id, empty if none ever came."""
        box = self._mailboxes[group]
        async with box.changed:
            box.end(fault)
            left, box.placement_group = box.placement_group, ""
            box.failed_starts += not left
            return left

    async def close(self) -> None:
        """From the driver: all ranks may leave."""
        self._closed = True
        for box in self._mailboxes:
            async with box.changed:
                box.changed.notify_all()

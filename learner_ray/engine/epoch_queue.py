"""Passes work from trials to the worker groups that train them, and the epochs' results back."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from learner_ray.engine.faults import Fault

STARTS_BEFORE_GIVING_UP = 3
"""Failed starts of every worker group, after which the study ends if none has ever started."""


@dataclass(frozen=True, kw_only=True)
class EpochRequest:
    """A request to train one epoch of a run."""

    number: int
    """Counts up within a worker group, from one."""
    folder: str
    """The address of the run's folder."""
    fresh: bool
    """Whether to begin with what the run's files hold instead of what the ranks remember."""


@dataclass(frozen=True, kw_only=True)
class EpochResult:
    """The result of a request."""

    row: dict[str, Any] | None = None
    """The epoch's progress; None where the run ended instead."""
    fault: Fault | None = None
    """The fault that prevented the epoch, if any. The ranks end with it."""
    restored: bool = False
    """Whether the row is that of the last epoch of before a restart."""
    no_ranks: bool = False
    """Whether the group has no ranks, so that the epoch was not begun."""
    held_elsewhere: bool = False
    """Whether another sweep trains the run, so that the epoch was not begun here."""


@dataclass(frozen=True, kw_only=True)
class GroupStatus:
    """Which worker groups can take a run."""

    groups: dict[int, str]
    """The ids of the placement groups of those that can, by the group's number."""
    start_failure: str
    """Why no group ever will; empty while one may. An autoscaler may take minutes to bring a node."""


@dataclass
class _Mailbox:
    """The state of one worker group."""

    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    request: EpochRequest = field(default_factory=lambda: EpochRequest(number=0, folder="", fresh=True))
    result: EpochResult | None = field(default_factory=EpochResult)
    """The result of ``request``; None while its epoch is being trained."""
    last_fault: Fault | None = None
    """The fault that ended the last ranks; None once a run was begun afresh."""
    placement_group: str = ""
    """The placement group of the ranks that asked for work; empty while there are none."""
    ended: str = ""
    """The placement group of ranks that have died or are to, whose stragglers may still come."""
    failed_starts: int = 0

    @property
    def is_up(self) -> bool:
        return bool(self.placement_group) and self.placement_group != self.ended

    def end(self, fault: Fault) -> None:
        """Gives the group's present ranks no more work, and its waiting trial the fault as the result."""
        self.last_fault, self.ended = fault, self.placement_group or self.ended
        if self.result is None:
            self.result = EpochResult(fault=fault)
        self.changed.notify_all()


class EpochQueue:
    """An asynchronous actor with a mailbox for each worker group.

    Ranks come for work and are never called: a rank that waits is in no collective that could run into its
    time limit, and one that may leave simply returns. Requests are for groups that are up.

    Args:
        groups: how many worker groups there are.
        starts_before_giving_up: failed starts of each group after which none is expected to start, if none
        ever
            has.
    """

    def __init__(self, groups: int, starts_before_giving_up: int = STARTS_BEFORE_GIVING_UP) -> None:
        self._starts_before_giving_up = starts_before_giving_up
        self._mailboxes = [_Mailbox() for _ in range(groups)]
        self._closed = False
        self._worked = False
        """Whether any group has ever started."""

    async def request_epoch(self, group: int, folder: str, fresh: bool) -> EpochResult:
        """Trains the next epoch of a trial's run. Called by the trial, which waits for the result.

        Args:
            group: the worker group that trains the run.
            folder: the address of the run's folder.
            fresh: whether to begin with what its files hold, as after a death.
        """
        box = self._mailboxes[group]
        async with box.changed:
            if box.last_fault and not fresh:
                return EpochResult(fault=box.last_fault)
            if not box.is_up:
                return EpochResult(no_ranks=True)
            request = EpochRequest(number=box.request.number + 1, folder=folder, fresh=fresh)
            box.request, box.result, box.last_fault = request, None, None
            box.changed.notify_all()
            await box.changed.wait_for(lambda: box.result is not None)
            assert box.result is not None
            return box.result

    async def next_request(self, group: int, after: int, placement_group: str) -> EpochRequest | None:
        """The request after the one that a rank knows, or None when the rank may leave. Called by each
        rank."""
        box = self._mailboxes[group]
        async with box.changed:
            if placement_group != box.ended:
                box.placement_group, self._worked = placement_group, True
            # A straggler of an ended group waits for its own end: Train takes ranks that return for done.
            await box.changed.wait_for(
                lambda: (
                    self._closed
                    or (placement_group != box.ended and box.request.number > after and box.result is None)
                )
            )
            return None if self._closed else box.request

    async def report(self, group: int, number: int, result: EpochResult) -> None:
        """Takes the result of a request. Called by the first rank, or by any rank in which something went
        wrong: then all ranks of the group are to end."""
        box = self._mailboxes[group]
        async with box.changed:
            if number == box.request.number and box.result is None:
                box.result = result
                if result.fault:
                    box.end(result.fault)  # the next run must not be given to them
                box.changed.notify_all()

    async def status(self) -> GroupStatus:
        """Tells the driver which groups can take a run. Once any group has started, one that is gone is
        waited for: spot nodes may take hours to come back."""
        groups = {group: box.placement_group for group, box in enumerate(self._mailboxes) if box.is_up}
        fewest = min(box.failed_starts for box in self._mailboxes)
        fault = self._mailboxes[0].last_fault
        gives_up = not self._worked and fewest >= self._starts_before_giving_up
        return GroupStatus(groups=groups, start_failure=fault.reason if gives_up and fault else "")

    async def end_ranks(self, group: int, placement_group: str, fault: Fault) -> bool:
        """Gives ranks no more work because of a fault. Called by the driver, which ends them.

        Returns:
            False where these ranks have been ended already.
        """
        box = self._mailboxes[group]
        async with box.changed:
            theirs = box.is_up and box.placement_group == placement_group
            if theirs:
                box.end(fault)
            return theirs

    async def ranks_died(self, group: int, fault: Fault) -> str:
        """Records that a group's ranks have died. Called by the driver.

        Returns:
            The id of their placement group; empty if none had ever started.
        """
        box = self._mailboxes[group]
        async with box.changed:
            box.end(fault)
            left, box.placement_group = box.placement_group, ""
            box.failed_starts += not left
            return left

    async def close(self) -> None:
        """Lets all ranks leave. Called by the driver."""
        self._closed = True
        for box in self._mailboxes:
            async with box.changed:
                box.changed.notify_all()

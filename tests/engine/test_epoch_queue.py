"""Every request has one answer, whoever dies."""

from __future__ import annotations

import asyncio

from learner_ray.engine.epoch_queue import STARTS_BEFORE_GIVING_UP, EpochQueue, EpochRequest, EpochResult
from learner_ray.engine.faults import Fault, Kind

KILLED = Fault(kind=Kind.DEATH, reason="killed")
NO_QUOTA = Fault(kind=Kind.NODE, reason="no quota")
ROW = {"epoch": 1}


async def wait_for(asked: asyncio.Task[EpochResult] | asyncio.Task[EpochRequest | None]) -> None:
    """Lets the others run until this one can do no more."""
    for _ in range(10):
        await asyncio.sleep(0)
    assert not asked.done()


async def rank(
    epoch_queue: EpochQueue, group: int, placement_group: str
) -> asyncio.Task[EpochRequest | None]:
    """A rank that has come for work and waits."""
    coming = asyncio.create_task(epoch_queue.next_request(group, 0, placement_group))
    await wait_for(coming)
    return coming


def test_all_ranks_take_a_request_and_the_first_answers_it() -> None:
    async def scene() -> None:
        epoch_queue = EpochQueue(groups=2)
        ranks = [await rank(epoch_queue, 1, "ab") for _ in range(2)]
        asked = asyncio.create_task(epoch_queue.request_epoch(1, "run", fresh=True))
        first, second = [await waiting for waiting in ranks]
        assert first == second == EpochRequest(number=1, folder="run", fresh=True)
        await epoch_queue.report(1, 1, EpochResult(row=ROW))
        assert await asked == EpochResult(row=ROW)
        new = await rank(epoch_queue, 1, "ab")  # does not do it again
        await epoch_queue.close()
        assert await new is None

    asyncio.run(scene())


def test_a_run_whose_ranks_died_must_begin_from_its_files() -> None:
    async def scene() -> None:
        epoch_queue = EpochQueue(groups=1)
        waiting = await rank(epoch_queue, 0, "ab")
        asked = asyncio.create_task(epoch_queue.request_epoch(0, "run", fresh=True))
        assert await waiting is not None
        assert await epoch_queue.ranks_died(0, KILLED) == "ab"
        assert (await asked).fault == KILLED
        assert (await epoch_queue.request_epoch(0, "run", fresh=False)).fault == KILLED
        waiting = await rank(epoch_queue, 0, "cd")
        again = asyncio.create_task(epoch_queue.request_epoch(0, "run", fresh=True))
        request = await waiting
        assert request is not None and request.fresh
        await epoch_queue.report(0, request.number, EpochResult(row=ROW))
        assert (await again).row == ROW

    asyncio.run(scene())


def test_a_group_is_up_from_when_a_rank_comes_until_it_is_lost() -> None:
    async def scene() -> None:
        epoch_queue = EpochQueue(groups=2)
        assert (await epoch_queue.status()).groups == {}
        await rank(epoch_queue, 1, "ab")
        assert (await epoch_queue.status()).groups == {1: "ab"}
        assert not await epoch_queue.end_ranks(1, "of before", KILLED)
        assert await epoch_queue.end_ranks(1, "ab", KILLED)
        assert (await epoch_queue.status()).groups == {}
        assert (await epoch_queue.request_epoch(1, "run", fresh=True)).no_ranks
        await rank(epoch_queue, 1, "ab")  # a straggler
        assert (await epoch_queue.status()).groups == {}
        assert await epoch_queue.ranks_died(1, KILLED) == "ab", "it had started"
        await rank(epoch_queue, 1, "ab")
        assert (await epoch_queue.status()).groups == {}
        await rank(epoch_queue, 1, "cd")
        assert (await epoch_queue.status()).groups == {1: "cd"}

    asyncio.run(scene())


def test_there_is_hope_until_every_group_has_failed_to_start_often_enough() -> None:
    async def scene(worked: bool) -> list[str]:
        epoch_queue = EpochQueue(groups=2)
        if worked:
            await rank(epoch_queue, 0, "ab")
        said = []
        for _ in range(STARTS_BEFORE_GIVING_UP + 1):
            for group in (0, 1):
                await epoch_queue.ranks_died(group, NO_QUOTA)
            said.append((await epoch_queue.status()).start_failure)
        return said

    assert asyncio.run(scene(worked=False)) == ["", "", "no quota", "no quota"]
    assert not any(asyncio.run(scene(worked=True))), "nodes that were there may come back"

"""Every order has one answer, whoever dies."""

from __future__ import annotations

import asyncio

from learner_ray.engine.dispatcher import Answer, Dispatcher, Order

ROW = {"epoch": 1}


async def wait_for(asked: asyncio.Task[Answer] | asyncio.Task[Order | None]) -> None:
    """Lets the others run until this one can do no more."""
    for _ in range(10):
        await asyncio.sleep(0)
    assert not asked.done()


def test_all_ranks_take_an_order_and_the_first_answers_it() -> None:
    async def scene() -> None:
        dispatcher = Dispatcher(groups=2)
        asked = asyncio.create_task(dispatcher.ask(1, "run", fresh=True))
        first, second = [await dispatcher.take(1, 0, "") for _ in range(2)]
        assert first == second == Order(number=1, folder="run", fresh=True)
        await dispatcher.answer(1, 1, Answer(row=ROW))
        assert await asked == Answer(row=ROW)
        waiting = asyncio.create_task(dispatcher.take(1, 0, ""))  # a new rank does not do it again
        await wait_for(waiting)
        await dispatcher.close()
        assert await waiting is None

    asyncio.run(scene())


def test_a_run_whose_ranks_died_must_begin_from_its_files() -> None:
    async def scene() -> None:
        dispatcher = Dispatcher(groups=1)
        asked = asyncio.create_task(dispatcher.ask(0, "run", fresh=True))
        await dispatcher.take(0, 0, "ab")
        assert await dispatcher.lose(0, "killed") == "ab"
        assert (await asked).lost == "killed"
        assert (await dispatcher.ask(0, "run", fresh=False)).lost == "killed"
        again = asyncio.create_task(dispatcher.ask(0, "run", fresh=True))
        order = await dispatcher.take(0, 0, "cd")
        assert order is not None and order.fresh
        await dispatcher.answer(0, order.number, Answer(row=ROW))
        assert (await again).row == ROW

    asyncio.run(scene())


def test_a_group_is_up_from_when_a_rank_comes_until_it_is_lost() -> None:
    async def scene() -> None:
        dispatcher = Dispatcher(groups=2)
        assert await dispatcher.up() == []
        waiting = asyncio.create_task(dispatcher.take(1, 0, ""))
        await wait_for(waiting)
        assert await dispatcher.up() == [1]
        await dispatcher.lose(1, "killed")
        assert await dispatcher.up() == []
        waiting.cancel()

    asyncio.run(scene())

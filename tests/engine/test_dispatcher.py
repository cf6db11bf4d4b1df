"""Every order has one answer, whoever dies, and nobody waits for ever."""

from __future__ import annotations

import asyncio

import pytest

from learner_ray.engine import dispatcher as module
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
        await dispatcher.answer(1, 1, ROW)
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
        await dispatcher.answer(0, order.number, ROW)
        assert (await again).row == ROW

    asyncio.run(scene())


def test_an_order_that_nobody_takes_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        dispatcher = Dispatcher(groups=1)
        answer = await dispatcher.ask(0, "run", fresh=True)
        assert "no Train worker came for it within 0.01 s" in answer.lost
        late = asyncio.create_task(dispatcher.take(0, 0, ""))
        await wait_for(late)
        late.cancel()

    monkeypatch.setattr(module, "START_S", 0.01)
    asyncio.run(scene())

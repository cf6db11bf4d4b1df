"""A cache that several threads ask makes each value once."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from learner_ray.core.caching import cached_once


def test_of_several_threads_that_ask_one_makes_it_and_all_are_given_the_same() -> None:
    together = threading.Barrier(4)

    @cached_once(maxsize=4)
    def made(name: str) -> object:
        time.sleep(0.05)
        return object()

    def ask(_: int) -> object:
        together.wait()
        return made("a")

    with ThreadPoolExecutor(4) as threads:
        assert len(set(threads.map(ask, range(4)))) == 1
    before = made("a")
    assert made("b") is not before
    made.cache_clear()
    assert made("a") is not before

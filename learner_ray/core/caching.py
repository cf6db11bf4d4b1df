"""Caches for processes that train several runs, each in a thread."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Generic, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class CachedOnce(Generic[P, T]):
    """A function that remembers its last results. Of several threads that ask for one, the first makes it and
    the others wait, where ``functools.lru_cache`` lets each make its own: a cohort read twice, a module
    with two classes of one name.

    Args:
        make: the function; its arguments must be hashable.
        maxsize: how many results are remembered; None for all.
    """

    def __init__(self, make: Callable[P, T], maxsize: int | None) -> None:
        self._cached = functools.lru_cache(maxsize)(make)
        self._lock = threading.RLock()  # what is made may ask for another one
        functools.update_wrapper(self, make)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        with self._lock:
            return self._cached(*args, **kwargs)  # type: ignore[arg-type]

    def cache_clear(self) -> None:
        """Forgets all results."""
        self._cached.cache_clear()


def cached_once(maxsize: int | None = None) -> Callable[[Callable[P, T]], CachedOnce[P, T]]:
    """Decorates a function as :class:`CachedOnce`."""
    return lambda make: CachedOnce(make, maxsize)

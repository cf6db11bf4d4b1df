"""Nodes that a cluster's autoscaler is asked for by name of their resources, before a run asks for any."""

from __future__ import annotations

from collections.abc import Mapping

from ray.util.placement_group import PlacementGroup, placement_group, remove_placement_group


class AskedNodes:
    """Nodes that the autoscaler is asked for, while the context lasts.

    By placement groups: unlike ``ray.autoscaler.sdk.request_resources`` they end with this process, however
    it ends, so that nobody pays for nodes that nobody waits for any more.
    """

    def __init__(self) -> None:
        self._groups: list[PlacementGroup] = []

    def __enter__(self) -> AskedNodes:
        return self

    def __exit__(self, *_: object) -> None:
        self.ask(0, {})

    def ask(self, nodes: int, each: Mapping[str, float]) -> None:
        """Asks for so many nodes with at least these resources each, instead of those that were asked for
        before; 0 withdraws the request. A node that has come stays until it has been idle for long.

        A group that is to be spread strictly is what the autoscaler looks at before the groups of runs, which
        might take up all the nodes that it may start.
        """
        while self._groups:
            remove_placement_group(self._groups.pop())
        self._groups = [placement_group([dict(each)], strategy="STRICT_SPREAD") for _ in range(nodes)]

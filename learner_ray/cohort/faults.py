"""Mistakes in a listing, gathered so that all can be mended in one go."""

from __future__ import annotations

from learner_ray.errors import UserError

LISTED = 20
"""Faults written out; the others are counted."""


class Faults:
    """What is wrong with one file, line by line."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._found: list[tuple[int, str]] = []

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, row: int, fault: str) -> None:
        """Notes a fault with its remedy; row 0 is the file as a whole."""
        self._found.append((row, fault))

    def raise_any(self) -> None:
        """Raises what was found, in the order of the rows.

        Raises:
            UserError: there is a fault.
        """
        if not self._found:
            return
        lines = [f"row {row}: {fault}" if row else fault for row, fault in sorted(self._found)]
        if len(lines) == 1:
            raise UserError(f"{self._source}: {lines[0]}")
        shown = [f"  {line}" for line in lines[:LISTED]]
        if len(lines) > LISTED:
            shown.append(f"  and {len(lines) - LISTED} more")
        raise UserError("\n".join([f"{self._source}: {len(lines)} faults", *shown]))

"""How a run may end."""

from __future__ import annotations

from typing import Literal

State = Literal["complete", "stopped", "failed", "diverged"]

ENDED_WELL: tuple[State, ...] = ("complete", "stopped")
"""A run that was stopped early by the pruner has ended as it should."""
ENDED_BADLY: tuple[State, ...] = ("failed", "diverged")

"""How fast one device trains and embeds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Throughput:
    """Seconds that one device takes, measured on the base configuration."""

    train_per_scan: float
    """Seconds for one scan in one epoch of pretraining."""
    evaluate_per_scan: float
    """Seconds to embed one scan."""
    device: str = ""
    """The make of the device that was timed: the card's name, or the processor's; empty where none was."""

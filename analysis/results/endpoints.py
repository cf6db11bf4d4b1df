"""What a study may predict of a pair of visits, and the classes that it then has."""

from __future__ import annotations

PROGRESSION, DECLINE, CHANGE = "progression", "decline", "change"
"""Worse, same or better; worse or not; or the change of score itself."""
CLASSES = {PROGRESSION: ("worse", "same", "better"), DECLINE: ("worse", "not worse")}
"""Names of the classes 0, 1 and 2, or 0 and 1, by endpoint."""

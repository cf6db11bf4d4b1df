"""The errors a user can mend: commands print them without a traceback."""

from __future__ import annotations


class UserError(Exception):
    """A mistake in what was given, with the remedy in its message."""


class StorageError(Exception):
    """Results cannot be written any more. What had ended is kept; the same command goes on from there."""

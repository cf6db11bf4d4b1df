"""The one error a user can mend: commands print it without a traceback and exit with 2."""

from __future__ import annotations


class UserError(Exception):
    """A mistake in what was given, with the remedy in its message."""

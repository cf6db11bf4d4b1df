"""The one error a reader of results can mend: the command prints it without a traceback and exits with 2."""

from __future__ import annotations


class ReportError(Exception):
    """Something is wrong with the results folder that was named, with the remedy in the message."""

"""The error of a results folder that cannot be reported, or of a report that cannot be checked."""

from __future__ import annotations


class ReportError(Exception):
    """A fault that the user who runs the report can mend.

    The message says which file, what is wrong with it and what to do; the command prints it without a
    traceback and exits with 2.
    """

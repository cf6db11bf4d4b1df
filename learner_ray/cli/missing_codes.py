"""The option ``--missing`` of all commands that read a cohort's table."""

from __future__ import annotations

import argparse
from collections.abc import Sequence


def add_option(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """Adds the option that names the codes. A command line goes through ``joined`` before it is parsed."""
    parser.add_argument(
        "--missing",
        type=_codes,
        default=(),
        metavar="CODES",
        help="codes of a missing score, as -1,-4,-99; such rows are left out, as empty and n/a always are",
    )


def _codes(text: str) -> tuple[str, ...]:
    """The codes that an option names, separated by commas."""
    return tuple(code.strip() for code in text.split(",") if code.strip())


def joined(arguments: Sequence[str]) -> list[str]:
    """Joins ``--missing`` and its value by an equals sign: argparse would take ``-1,-4`` for options."""
    given = list(arguments)
    while "--missing" in given[:-1]:
        at = given.index("--missing")
        given[at : at + 2] = [f"--missing={given[at + 1]}"]
    return given

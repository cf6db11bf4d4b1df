"""What a component says of itself in its docstring, as plain values for a record of what was done."""

from __future__ import annotations

import inspect
import re

_END = re.compile(r"(?<!et al)(?<!Fig)(?<!sec)\.\s")
"""Where a sentence ends."""
_QUOTED = re.compile(r"``(.+?)``", re.DOTALL)


def described(cls: type) -> dict[str, str]:
    """A class in its own words: its first sentence (``text``), its ``formula``, what the formula's symbols
    stand for (``where``), and its ``source``.

    The formula is the paragraph that begins with double backticks, line by line; the paragraph after it says
    what symbols stand for, if it begins with "with"; the source is the sentence that begins with "Source:".
    What the docstring lacks is left out, and everything where Python was started without docstrings.
    """
    paragraphs = inspect.cleandoc(cls.__doc__ or "").split("\n\n")
    at = next((i for i, text in enumerate(paragraphs) if text.startswith("``")), len(paragraphs))
    formula, where, *_ = [*paragraphs[at : at + 2], "", ""]
    source = re.search(r"Source:\s(.*)", "\n\n".join(paragraphs), re.DOTALL)
    found = {
        "text": _sentence(paragraphs[0]),
        "formula": "; ".join(_plain(line).rstrip(",") for line in _QUOTED.findall(formula)),
        "where": _plain(where).rstrip(".") if where.startswith("with") else "",
        "source": _sentence(source[1]) if source else "",
    }
    return {key: value for key, value in found.items() if value}


def _plain(text: str) -> str:
    return " ".join(text.replace("`", "").split())


def _sentence(text: str) -> str:
    """The first sentence of a paragraph, without its full stop."""
    return _END.split(_plain(text.split("\n\n")[0]))[0].rstrip(".")

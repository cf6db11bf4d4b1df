"""Visit labels. A label is understood as a whole or refused; no part of it is guessed from.

A label is one of

- a number, which may have a sign: ``-9``, ``2``, ``1.5``;
- a time with its unit, day, week, month or year: ``d3``, ``m06``, ``Week -4``, ``2 years``, ``ses-M006``;
- a word for the first visit: ``bl``, ``baseline``, ``sc``, ``screening``;
- an index, a word and a number: ``V2``, ``visit 3``, ``ses-06``.

A minus is a sign before a bare number or after a space. Between letters and digits a hyphen joins them
(``ses-06``, ``V-1``), unless the cohort also writes the word without one: then it may be a sign, and nobody
can tell.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from typing import Literal

BASELINE = ("bl", "baseline", "sc", "screening")
"""Words for a patient's first visit: 0 on every scale."""

_UNITS = {
    "day": ("d", "day", "days"),
    "week": ("w", "wk", "wks", "week", "weeks"),
    "month": ("m", "mo", "mos", "month", "months"),
    "year": ("y", "yr", "yrs", "year", "years"),
}
_DAYS = {"day": Fraction(1), "week": Fraction(7), "month": Fraction(1461, 48), "year": Fraction(1461, 4)}
"""Days of a unit; twelve months are a year to the last digit, so that m12 and y1 are one moment."""
_UNIT_OF = {word: unit for unit, words in _UNITS.items() for word in words}
_ALIASES = {"v": "visit"}
_BACKWARDS = ("pre", "before", "prior", "minus", "neg", "ante", "ago")
"""Words that may count backwards: no index."""

_SIGNED = r"[+-]?[0-9]+(?:\.[0-9]+)?"
_NUMBER = re.compile(_SIGNED)
_WORD_FIRST = re.compile(rf"([^\W\d_]+)(?:(-?[0-9]+(?:\.[0-9]+)?)|[ _]({_SIGNED}))")
_WORD_LAST = re.compile(rf"({_SIGNED})[ _]?([^\W\d_]+)")
_SESSION = re.compile(r"ses-(?!-)(.+)")
_HALF_NUMBERS = ("No", "Nl")
"""Superscripts, fractions and Roman numerals, which folding would turn into other digits or letters."""

Kind = Literal["baseline", "number", "time", "index"]


@dataclass(frozen=True, kw_only=True)
class Label:
    """What a visit label says."""

    kind: Kind
    """What kind of label it is."""
    value: Fraction
    """The number as written, in the label's own unit; 0 for a baseline."""
    word: str = ""
    """The unit of a time, the word of an index."""
    hyphen: bool = False
    """Whether a hyphen stands between the word of an index and its digits."""

    @property
    def scale(self) -> str:
        """What the label counts, in words. Labels that count different things cannot be compared."""
        if self.kind == "index":
            return f"a number of {self.word!r}"
        return {"number": "a bare number", "time": "a time with a unit"}.get(self.kind, "")


def parse_label(text: str) -> Label | None:
    """The meaning of a label; None where it is not written as this module's description allows."""
    if any(unicodedata.category(character) in _HALF_NUMBERS for character in text):
        return None
    folded = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    # The minus sign proper is a sign and never a hyphen: it counts where a sign may stand.
    if re.search("[^\\W\\d_]\u2212", folded):
        return None
    folded = folded.replace("\u2212", "-")
    if session := _SESSION.fullmatch(folded):
        return _parse_session(session[1])
    return _parse(folded)


def _parse_session(rest: str) -> Label | None:
    """A label behind ``ses-``, as BIDS names a session."""
    if re.fullmatch(r"[0-9]+(?:\.[0-9])?", rest):
        return Label(kind="index", value=Fraction(rest), word="ses", hyphen=True)
    return None if _NUMBER.fullmatch(rest) else _parse(rest)


def _parse(text: str) -> Label | None:
    if text in BASELINE:
        return Label(kind="baseline", value=Fraction(0))
    if _NUMBER.fullmatch(text):
        return Label(kind="number", value=Fraction(text))
    if (last := _WORD_LAST.fullmatch(text)) and last[2] in _UNIT_OF:
        return Label(kind="time", value=Fraction(last[1]), word=_UNIT_OF[last[2]])
    first = _WORD_FIRST.fullmatch(text)
    if first is None:
        return None
    word, hyphen, digits = first[1], (first[2] or "").startswith("-"), first[2] or first[3]
    if word in _UNIT_OF:
        # "week-4" may be week 4 or four weeks before: the one order is the other's reverse.
        return None if hyphen else Label(kind="time", value=Fraction(digits), word=_UNIT_OF[word])
    if word in _BACKWARDS or re.search(r"\.[0-9]{2}", digits):
        return None  # visit 2.10 comes after 2.9 to some, and before it to others
    value = Fraction(digits.removeprefix("-")) if hyphen else Fraction(digits)
    return Label(kind="index", value=value, word=_ALIASES.get(word, word), hyphen=hyphen)


def visit_key(text: str) -> tuple[str, Fraction | str]:
    """What two labels of one visit have in common: M006, m06 and ``ses-M006`` are one visit, and so are bl,
    sc and m00, or ``ses-02``, 2 and 02; V2 is one of its own, as is a label that cannot be parsed."""
    label = parse_label(text)
    if label is None:
        return "text", " ".join(text.casefold().split())
    if label.kind == "baseline":
        return "time", Fraction(0)
    if label.kind == "time":
        return "time", label.value * _DAYS[label.word]
    return ("" if label.word == "ses" else label.word), label.value


def clashes(labels: Mapping[int, tuple[str, Label]]) -> list[tuple[int, str]]:
    """Says why a cohort's labels cannot be put on one scale; an empty list if they can.

    Args:
        labels: text and meaning of each label, by row.

    Returns:
        Row and fault of the first label of every further kind, each naming the row it clashes with.
    """
    found: list[tuple[int, str]] = []
    first: dict[str, int] = {}
    for row, (text, label) in labels.items():
        if label.scale and label.scale not in first:
            if first:
                scale, other = next(iter(first.items()))
                found.append(
                    (
                        row,
                        f"visit {text!r} is {label.scale}, {labels[other][0]!r} in row {other} is {scale}: "
                        "these cannot be compared; write all labels in one way, or add dates or days",
                    )
                )
            first[label.scale] = row
    return found + _hyphens(labels)


def _hyphens(labels: Mapping[int, tuple[str, Label]]) -> list[tuple[int, str]]:
    """Hyphens that may be signs: the word also occurs without one, or beside a word for the baseline."""
    joined = {of.word: row for row, (_, of) in reversed([*labels.items()]) if of.hyphen}
    found = []
    for word, row in joined.items():
        bare = (r for r, (_, of) in labels.items() if of.word == word and not of.hyphen)
        # "ses-" begins a session's name and is never a sign.
        baseline = (r for r, (_, of) in labels.items() if of.kind == "baseline" and word != "ses")
        other = next(chain(bare, baseline), None)
        if other is not None:
            found.append(
                (
                    row,
                    f"visit {labels[row][0]!r} beside {labels[other][0]!r} in row {other}: it is "
                    "not clear whether the hyphen is a minus; write a minus after a space, and no other "
                    "hyphens",
                )
            )
    return found


def positions(labels: Iterable[Label]) -> list[float]:
    """The position in time of each label, given labels without clashes: in their unit where they share one,
    else in days."""
    every = list(labels)
    units = {label.word for label in every if label.kind == "time"}
    return [
        float(of.value * _DAYS[of.word]) if of.kind == "time" and len(units) > 1 else float(of.value)
        for of in every
    ]

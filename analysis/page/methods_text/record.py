"""Reading a study's record for sentences, and writing none about what is not there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from analysis.results.names import printable
from analysis.results.study import DeclaredArm, StudyResults

UNKNOWN = "not recorded"


class Paragraph(NamedTuple):
    """One topic of the Methods section."""

    topic: str
    text: str
    """Empty where nothing of the topic was recorded."""


class Setting(NamedTuple):
    """The value that arms have of one key of the configuration."""

    value: Any
    """None where it was not recorded."""
    searched: bool
    """Whether a search chose it anew in every fold, beginning with the value."""


def sentence(template: str, **values: Any) -> str:
    """Fill a sentence with recorded values; empty where none of them was recorded.

    None is written *not recorded*; an empty text stands for what there is nothing to say of.

    Raises:
        ValueError: no value is asked for, so that it would be said of any record.
    """
    if not values:
        raise ValueError(f"{template!r} says something that no record holds")
    if all(value is None or value == "" for value in values.values()):
        return ""
    return template.format(**{name: "" if value == "" else words(value) for name, value in values.items()})


def joined(*sentences: str) -> str:
    """Put sentences into one paragraph, without the empty ones."""
    return " ".join(text for text in sentences if text)


def words(value: Any) -> str:
    """Write a recorded value: whole numbers with separators, others with six digits, lists with commas."""
    if value is None or value == "":
        return UNKNOWN
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{printable(str(key))} {words(each)}" for key, each in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(words, value))
    return printable(str(value))


def between(values: Any, form: Callable[[Any], str] = words) -> str | None:
    """Write the lowest and highest of some folds: ``12`` or ``12 to 14``; None where not recorded."""
    if not isinstance(values, Sequence) or isinstance(values, str) or len(values) != 2:
        return None
    low, high = map(form, values)
    return low if low == high else f"{low} to {high}"


def counted(number: Any, noun: str) -> str | None:
    """Write a number, or a range as text, with its noun: ``1 fold``, ``2 to 3 folds``; None where there is
    none."""
    if number is None:
        return None
    said = words(number)
    return f"{said} {noun}{'' if said == '1' else 's'}"


class StudyRecord:
    """What a study's record says, arm by arm.

    Args:
        study: whose study.json is read.
    """

    def __init__(self, study: StudyResults) -> None:
        self.study = study

    def get(self, *keys: str) -> Any:
        """The value below some keys of study.json; None where there is none, or an empty text."""
        value = self.study.recorded(*keys)
        return None if value == "" else value

    @cached_property
    def values(self) -> dict[str, dict[str, Any]]:
        """By arm, the configuration in effect before any search, by dotted key.

        Older versions did not record it: there it is the base with the arm's edits and the user's, and what
        the arm's loss has beside these is not known.
        """
        base, given = flat(self.get("base")), self.get("set") or {}
        found = {}
        for arm in self.study.arms:
            own = self.get("methods", "configurations", arm.name, "values")
            found[arm.name] = {**base, **(own if isinstance(own, Mapping) else {**arm.edits, **given})}
        return found

    @cached_property
    def chosen_elsewhere(self) -> frozenset[str]:
        """The keys that were fixed, fold by fold, at what another study's search had chosen."""
        settings = self.get("fixed_at", "settings")
        folds = settings if isinstance(settings, list) else []
        return frozenset(
            key for fold in folds if isinstance(fold, Mapping) for key in fold.get("values") or ()
        )

    def setting(self, arm: DeclaredArm, key: str) -> Setting:
        """The value of a key that an arm has, or begins its search with."""
        own = self.get("starts", arm.name, key)
        value = self.values[arm.name].get(key) if own is None else own
        return Setting(value, key in arm.searched)

    def across(self, key: str, arms: Iterable[DeclaredArm], form: Callable[[Any], str] = words) -> str | None:
        """Write the value of a key: once where arms agree, else with the arms; None where none is recorded.

        Args:
            key: dotted key of the configuration.
            arms: whose.
            form: writes one value.
        """
        said: dict[str, list[str]] = {}
        for arm in arms:
            value, searched = self.setting(arm, key)
            text = UNKNOWN if value is None else form(value)
            if searched:
                text = f"searched, starting at {text}"
            elif key in self.chosen_elsewhere:
                text = "as chosen in each fold by the search named below"
            said.setdefault(text, []).append(printable(arm.label))
        if set(said) <= {UNKNOWN}:
            return None
        if len(said) == 1:
            return next(iter(said))
        return "; ".join(f"{text} ({', '.join(labels)})" for text, labels in said.items())

    def _arms(self, what: str) -> list[DeclaredArm]:
        """The arms of which the record says something; of older versions, which did not record it, those that
        are no controls."""
        if self.get("methods", "configurations") is None:
            return [arm for arm in self.study.arms if not arm.control]
        return [a for a in self.study.arms if self.get("methods", "configurations", a.name, what)]

    @property
    def with_encoder(self) -> list[DeclaredArm]:
        """The arms that see scans."""
        return self._arms("uses_encoder")

    @property
    def pretrained(self) -> list[DeclaredArm]:
        """The arms whose encoder is trained on scores."""
        return self._arms("pretrains")

    @property
    def searched(self) -> list[DeclaredArm]:
        """The arms that have a search."""
        return [arm for arm in self.study.arms if arm.searched]

    def no_arm(self, did: str) -> str:
        """Say that no arm did something; empty where the record does not tell what arms do."""
        known = self.get("methods", "configurations") is not None
        return sentence("{nobody} " + did + ".", nobody="No arm" if known else None)


def flat(values: Any, prefix: str = "") -> dict[str, Any]:
    """Write nested values under dotted keys."""
    found: dict[str, Any] = {}
    for key, value in values.items() if isinstance(values, Mapping) else ():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


def labels(arms: Iterable[DeclaredArm]) -> str | None:
    """Write the labels of arms with commas; None where there are none."""
    return ", ".join(printable(arm.label) for arm in arms) or None

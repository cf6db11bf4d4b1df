"""Checks of what a study's recipe names: metrics, arms, profiles, and the keys and ranges of its space.

They need neither Optuna nor data, so that a mistake is reported where it is written.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from learner_ray.core.config import COMPONENTS, Config, all_keys, flatten
from learner_ray.core.errors import UserError
from learner_ray.core.old_names import key_now
from learner_ray.study.profiles import PROFILES

if TYPE_CHECKING:
    from learner_ray.study.study import Space, Study


ENDPOINT = "progression.endpoint"
ONE_ENDPOINT = (
    "which is one for all arms of a study: set it in the study's base configuration, or by --set "
    f"{ENDPOINT}=..."
)


@dataclass(frozen=True, kw_only=True)
class SearchRange:
    """What a space asks for one key: one of some options, or a real number between two bounds."""

    options: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0

    @property
    def values(self) -> tuple[Any, ...]:
        """All options, or both bounds."""
        return self.options or (self.low, self.high)

    def holds(self, value: Any) -> bool:
        """Whether a value may be suggested."""
        return value in self.options if self.options else self.low <= value <= self.high

    def __str__(self) -> str:
        return ", ".join(map(str, self.options)) if self.options else f"{self.low:g} to {self.high:g}"


def known_or_refused(name: str, known: Iterable[str], where: str) -> None:
    """Refuses a name that is not known, and says which one may have been meant.

    Raises:
        UserError: the name is unknown.
    """
    names = list(known)
    if name not in names:
        meant = get_close_matches(name, names, n=1)
        hint = f"; did you mean {meant[0]!r}?" if meant else ""
        raise UserError(f"{where}: no such name; known: {', '.join(names)}{hint}")


def check_names(study: Study) -> None:
    """Checks every name that a recipe gives.

    Raises:
        UserError: a name is unknown, or given twice.
    """
    from learner_ray.study.main_table import check_primary_metric, primary_metrics

    here, names = f"study {study.name}", [arm.name for arm in study.arms]
    if not study.name.strip() or not study.name.isprintable():
        raise UserError(f"study {study.name!r}: a name is printable and not empty: call the study otherwise")
    if len(set(names)) < len(names):
        raise UserError(f"{here}: two arms share a name among {', '.join(names)}: rename one")
    if not study.default_arms:
        raise UserError(f"{here}: default_arms names no arm: name those that run without --arms")
    for name in study.default_arms:
        known_or_refused(name, names, f"{here}: default_arms names {name!r}")
    if len(set(study.default_arms)) < len(study.default_arms):
        raise UserError(f"{here}: default_arms names an arm twice: {', '.join(study.default_arms)}")
    known_or_refused(study.reference, names, f"{here}: reference is {study.reference!r}")
    metric = study.primary_metric
    known_or_refused(metric, primary_metrics(), f"{here}: primary_metric is {metric!r}")
    try:
        check_primary_metric(metric, study.endpoint)
    except UserError as error:
        raise UserError(f"{here}: {error}") from error
    for profile in study.profiles:
        known_or_refused(profile, PROFILES, f"{here}: profiles names {profile!r}")


def check_endpoint(study: Study) -> None:
    """Checks that all arms of a recipe have one endpoint: arms of different ones cannot be compared.

    Raises:
        UserError: an arm or a profile sets an endpoint of its own.
    """
    edited = [(f"arm {arm.name!r}", arm.edits) for arm in study.arms]
    edited += [(f"profile {name!r}", edits) for name, edits in study.profiles.items()]
    for where, edits in edited:
        if ENDPOINT in edits:
            raise UserError(f"study {study.name}: {where} sets {ENDPOINT}, {ONE_ENDPOINT}")


def check_values(study: Study) -> None:
    """Checks every value that a recipe sets, alone and within the ranges of its space.

    Raises:
        UserError: a key is unknown or a value impossible; the space asks for what cannot be; or a base value
            lies outside the range in which it is searched.
    """
    for arm in study.arms:
        _with_edits(study.base, arm.edits, f"study {study.name}: arm {arm.name!r}")
    checked: set[str] = set()
    for profile in ("", *study.profiles):
        where = f"study {study.name}: profile {profile!r}" if profile else f"study {study.name}"
        base = _with_edits(study.base, study.profiles.get(profile, {}), where)
        for arm in study.arms:
            if not arm.control:
                config = base.with_values(dict(arm.edits))
                ranges = ranges_of(study.name, study.space, config, frozenset(arm.edits), checked)
                start_of(ranges, config, f"{where}: arm {arm.name!r}")


def check_positive(study: Study) -> None:
    """Checks the numbers that a recipe states for its report.

    Raises:
        UserError: one is not a positive, finite number.
    """
    stated = {"equivalence_margin": study.equivalence_margin, "retest_days": study.retest_days}
    for name, value in stated.items():
        if name == "equivalence_margin" and value is None:
            continue
        plain = isinstance(value, int | float) and not isinstance(value, bool)
        if not plain or value is None or not 0 < value < math.inf:
            raise UserError(f"study {study.name}: {name} must be a number above 0, not {value!r}")


def _with_edits(config: Config, edits: Mapping[str, Any], where: str) -> Config:
    try:
        return config.with_values(dict(edits))
    except UserError as error:
        raise UserError(f"{where}: {error}") from error


def start_of(ranges: Mapping[str, SearchRange], config: Config, where: str) -> dict[str, Any]:
    """The values with which a search begins, by dotted key: the configuration's own, or the published ones
    where its own 0 stands for these.

    Args:
        ranges: what the space asks for at this configuration.
        config: the configuration of the arm that is searched.
        where: what is searched, for messages.

    Raises:
        UserError: such a value lies outside the range in which it is searched; or the configuration has none,
            since neither its loss nor its encoder knows the key.
    """
    own, effective = flatten(config.to_dict()), config.in_effect()
    for key, searched in ranges.items():
        if key not in own or key in config.unused:
            raise UserError(
                f"{where}: {key} is searched, which neither loss {config.loss.name} nor encoder "
                f"{config.encoder.name} has: let the space ask for it only where config.loss.name or "
                "config.encoder.name is one that has it"
            )
        if not searched.holds(effective[key]):
            stands = f", which stands for {effective[key]:g}" if effective[key] != own[key] else ""
            raise UserError(
                f"{where}: {key} is {own[key]!r}{stands}, outside the range in which it is searched "
                f"({searched}), and a search begins with it: change the value, or widen the range in the "
                f"study's space{_of_zero(key, own[key], config)}"
            )
    return {key: effective[key] for key in ranges}


def _of_zero(key: str, value: Any, config: Config) -> str:
    """A further remedy, for a 0 that may stand for a value which only the loss or encoder knows."""
    section, _, name = key.partition(".")
    if section not in COMPONENTS or value != 0 or isinstance(value, bool):
        return ""
    if name in getattr(config, section).published:
        return ""
    return f"; or, if 0 stands for another value, state that value in published of the {section}'s Config"


def ranges_of(
    study: str,
    space: Space,
    config: Config,
    fixed: frozenset[str],
    checked: set[str] | None = None,
) -> dict[str, SearchRange]:
    """What a space asks for at one configuration, checked.

    Args:
        study: the study's name, for messages.
        space: the study's own function.
        config: the configuration of the arm that is searched.
        fixed: keys that the search leaves alone.
        checked: what earlier calls have checked, which is not checked again.

    Raises:
        UserError: the space fails, or asks for an unknown key or an impossible value.
    """
    recorder = _Recorder(fixed)
    try:
        space(recorder, config)  # type: ignore[arg-type]  # it has the methods of Suggest that a space may call
    except UserError as error:
        raise UserError(f"study {study}: {error}") from error
    except Exception as error:  # the user's own code may raise anything
        raise UserError(f"study {study}: its space fails: {type(error).__name__}: {error}") from error
    if ENDPOINT in recorder.ranges:
        raise UserError(f"study {study}: its space asks for {ENDPOINT}, {ONE_ENDPOINT}")
    checked = set() if checked is None else checked
    for key, searched in recorder.ranges.items():
        asked = f"{config.loss.name}, {config.encoder.name}, {key}: {searched!r}"
        if asked not in checked:
            _check_range(study, config, key, searched)
            checked.add(asked)
    return recorder.ranges


def _check_range(study: str, config: Config, key: str, searched: SearchRange) -> None:
    keys = all_keys()
    known_or_refused(key, keys, f"study {study}: its space asks for {key!r}")
    if not searched.options and keys[key].type is not float:
        raise UserError(
            f"study {study}: its space asks for real numbers of {key}, which takes none: offer choices with "
            "suggest.choice"
        )
    for value in searched.values:
        # Other keys may be searched together with this one.
        alone = {"loss.name": config.loss.name, "encoder.name": config.encoder.name, key: value}
        _with_edits(Config(), alone, f"study {study}: its space")


class _Recorder:
    """Takes the place of ``Suggest`` and notes what a space asks for."""

    def __init__(self, fixed: frozenset[str]) -> None:
        self._fixed = fixed
        self.ranges: dict[str, SearchRange] = {}
        self.values: dict[str, Any] = {}

    def real(self, key: str, low: float, high: float, *, log: bool = False) -> None:
        key = key_now(key)
        if key not in self._fixed:
            check_bounds(key, low, high, log)
            self.ranges[key] = SearchRange(low=low, high=high)

    def choice(self, key: str, options: Sequence[Any]) -> None:
        key = key_now(key)
        if key not in self._fixed:
            if not options:
                raise UserError(f"the space gives {key} no option to choose from")
            self.ranges[key] = SearchRange(options=tuple(options))


def check_bounds(key: str, low: float, high: float, log: bool) -> None:
    """Refuses bounds between which no number can be drawn.

    Raises:
        UserError: a bound is not finite, both are in the wrong order, or a logarithm has a bound of 0 or
        less.
    """
    if not -math.inf < low <= high < math.inf or (log and low <= 0):
        kind = "finite numbers above 0" if log else "finite numbers"
        raise UserError(f"the space searches {key} from {low} to {high}: give {kind}, the lower one first")

"""The configuration of one run: frozen, keyword-only, validated.

Every key is reachable by its dotted name (``loss.margin``) from ``--set`` and from search spaces.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
import itertools
import json
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args, get_origin, get_type_hints

from learner_ray.core.components import KINDS, SELECTION_METRICS
from learner_ray.core.errors import UserError
from learner_ray.core.old_names import SECTIONS, SINCE, key_now
from learner_ray.core.sections import (
    SHIFT_FRACTIONS,
    DataConfig,
    EncoderConfig,
    LossConfig,
    ProgressionConfig,
    Section,
    TrainConfig,
    require,
)

__all__ = [
    "SHIFT_FRACTIONS",
    "Config",
    "DataConfig",
    "EncoderConfig",
    "Key",
    "LossConfig",
    "ProgressionConfig",
    "Section",
    "TrainConfig",
    "all_keys",
    "field_meanings",
    "field_types",
    "flatten",
    "key_type",
    "require",
    "typed",
]


@dataclass(frozen=True, kw_only=True)
class Config:
    """All that decides a run's result, apart from the data and the patients it may see."""

    data: DataConfig = field(default_factory=DataConfig)
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    progression: ProgressionConfig = field(default_factory=ProgressionConfig)
    seed: int = 0
    unused: Mapping[str, Any] = field(default_factory=dict)
    """Values of dotted keys that other losses and encoders have. One ``--set`` speaks for all arms, so an arm
    keeps what its own loss cannot use; it is part of the run's identity and of nothing else."""

    def __post_init__(self) -> None:
        require(isinstance(self.seed, int), f"seed must be a whole number, not {self.seed!r}")
        for section, common in COMPONENTS.items():
            given = getattr(self, section)
            known = KINDS[section].knows(given.name) and component_config(section, given.name)
            if known and type(given) is common is not known:  # named by its name alone
                object.__setattr__(self, section, known(**_stated(given)))

    def __getattr__(self, name: str) -> Any:
        # A study file of commit 3590708 asks for config.objective.name.
        if name in SECTIONS:
            return getattr(self, SECTIONS[name])
        raise AttributeError(f"a configuration has no section {name!r}")

    @property
    def pretrains(self) -> bool:
        """Whether a run of this configuration has any epoch to train."""
        return self.progression.uses_encoder and self.loss.name != "none" and self.train.epochs > 0

    def to_dict(self) -> dict[str, Any]:
        """Nested dictionaries; unused values stand in the section that their key names."""
        values = dataclasses.asdict(self)
        for key, value in values.pop("unused").items():
            section, _, name = key.partition(".")
            values[section][name] = value
        return values

    def in_effect(self) -> dict[str, Any]:
        """Every value by its dotted key; where a 0 stands for a published value, the published one."""
        values = flatten(self.to_dict())
        for section in (self.loss, self.encoder):
            for name, published in section.published.items():
                key = f"{section.section}.{name}"
                if values.get(key) == 0:
                    values[key] = published
        return values

    def to_json(self) -> str:
        """Canonical JSON: equal configurations give equal text."""
        return json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Config:
        """What :meth:`to_dict` gave, in this version or an older one: keys that came later have the value
        under which the result is the old one. Values of a component that is not known here, such as a loss of
        a study file that has not been read, are kept as unused ones.

        Raises:
            UserError: a key is unknown or a value has the wrong type or range.
        """
        given = flatten(values)
        config = cls()._with_values(given, strict=False)
        own = flatten(config.to_dict())
        later = {key: old for key, old in SINCE.items() if key not in given and own.get(key, old) != old}
        return config._with_values(later, strict=False) if later else config

    def with_values(self, values: Mapping[str, Any]) -> Config:
        """A copy with dotted keys replaced.

        Raises:
            UserError: a key or a component is unknown, or a value has the wrong type or range.
        """
        return self._with_values(values, strict=True)

    def resolved(self) -> Config:
        """Reads a configuration of :meth:`from_dict` again, now that its components are known.

        Raises:
            UserError: one of them is still unknown, or does not have a key that it is given.
        """
        return self.with_values({f"{section}.name": getattr(self, section).name for section in COMPONENTS})

    def _with_values(self, values: Mapping[str, Any], *, strict: bool) -> Config:
        given: dict[str, dict[str, Any]] = {}
        top: dict[str, Any] = {}
        for old, value in values.items():
            key = key_now(old)
            section, _, name = key.rpartition(".")
            if section not in COMPONENTS:
                value = _coerce(key, value, _plain_type(section, name))
            (given.setdefault(section, {}) if section else top)[name] = value
        unused = dict(self.unused)
        for section, changes in given.items():
            if section in COMPONENTS:
                before = getattr(self, section)
                top[section], unused = _component(before, changes, unused, strict=strict)
            else:
                top[section] = dataclasses.replace(getattr(self, section), **changes)
        changed = dataclasses.replace(self, **top, unused=unused)
        if strict:  # one of a study file that has not been read is not known yet
            SELECTION_METRICS.require(changed.progression.selection_metric)
        return changed


def _stated(section: Any) -> dict[str, Any]:
    """The values of a section that are not its defaults: a component may have defaults of its own."""
    return {f.name: v for f in dataclasses.fields(section) if (v := getattr(section, f.name)) != f.default}


COMPONENTS = {"loss": LossConfig, "encoder": EncoderConfig}
"""Sections whose further keys depend on the component that their ``name`` selects, and what all have."""


def _component(
    before: LossConfig | EncoderConfig,
    changes: Mapping[str, Any],
    unused: dict[str, Any],
    *,
    strict: bool,
) -> tuple[Any, dict[str, Any]]:
    """A section with changes, and the values that its component does not have."""
    section = before.section
    name = _coerce(f"{section}.name", changes.get("name", before.name), str)
    cls = component_config(section, name) if strict or KINDS[section].knows(name) else COMPONENTS[section]
    carried = _stated(before)
    prefix = f"{section}."
    for key in [key for key in unused if key.startswith(prefix)]:
        carried[key.removeprefix(prefix)] = unused.pop(key)
    types = field_types(cls)
    values: dict[str, Any] = {}
    stated = {**carried, **changes, "name": name}
    # Of other components: hardly ever, and to collect their keys takes as long as all else here.
    known = all_keys() if unused or not stated.keys() <= types.keys() else {}
    for field_name, value in stated.items():
        key = prefix + field_name
        if field_name in types:
            values[field_name] = _coerce(key, value, types[field_name])
        elif strict or key in known:
            unused[key] = _coerce(key, value, known[key].type if key in known else None)
            other = component_config(section, known[key].components[0])
            other(**{field_name: unused[key]})  # refuses what no component could have
        else:
            unused[key] = value
    defaults_of_all = {key: known[key].defaults for key in unused if key in known}
    # As with every other key, a value that is the default anyway says nothing.
    return cls(**values), {k: v for k, v in unused.items() if defaults_of_all.get(k) != {v}}


def component_config(section: str, name: str) -> Any:
    """The dataclass of the loss or encoder of a name.

    Raises:
        UserError: there is none of this name.
    """
    return LossConfig if (section, name) == ("loss", "none") else KINDS[section].config_class(name)


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested dictionaries to one with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat.update(
            flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
        )
    return flat


@functools.cache
def field_types(cls: type) -> dict[str, Any]:
    """The type of every field of a section."""
    return get_type_hints(cls)


def _plain_type(section: str, name: str) -> Any:
    """The type of a key that depends on no component; None where there is no such key."""
    if not section:
        return int if name == "seed" else None
    kind = field_types(Config).get(section)
    is_section: bool = dataclasses.is_dataclass(kind)
    return field_types(kind).get(name) if is_section else None


@dataclass
class Key:
    """A dotted key: its type, its meaning and the defaults it has."""

    type: Any
    meaning: str
    defaults: set[Any]
    components: list[str]
    """Losses or encoders that have it; empty where all do."""


def all_keys() -> dict[str, Key]:
    """Every dotted key, with those of all losses and encoders that are known without loading a package."""
    found: dict[str, Key] = {}
    for field_ in dataclasses.fields(Config):
        kind = field_types(Config)[field_.name]
        if field_.name == "seed":
            found["seed"] = Key(int, "Seed of the run.", {0}, [])
        elif dataclasses.is_dataclass(kind):
            _add_keys(found, field_.name, kind, "")
    for section, registry in KINDS.items():
        for name in registry.known_names if section in COMPONENTS else ():
            _add_keys(found, section, registry.config_class(name), name)
    return found


def _add_keys(found: dict[str, Key], section: str, cls: Any, component: str) -> None:
    for field_ in dataclasses.fields(cls):
        name = f"{section}.{field_.name}"
        if name not in found:
            found[name] = Key(field_types(cls)[field_.name], _meaning(cls, field_.name), set(), [])
        elif not found[name].components:
            continue
        found[name].defaults.add(field_.default)
        found[name].components += [component] if component else []


@functools.cache
def field_meanings(cls: type) -> dict[str, str]:
    """The text below each field of a section, where its source can be had."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0]
        except (OSError, TypeError, SyntaxError):
            continue
        body = getattr(tree, "body", [])
        for statement, after in itertools.pairwise(body):
            text = getattr(getattr(after, "value", None), "value", None)
            if (
                isinstance(statement, ast.AnnAssign)
                and isinstance(statement.target, ast.Name)
                and isinstance(text, str)
            ):
                found[statement.target.id] = " ".join(text.split())
    return found


def _meaning(cls: type, name: str) -> str:
    return field_meanings(cls).get(name, "")


def key_type(key: str) -> Any:
    """The type of a dotted key; None where there is no such key."""
    known = all_keys().get(key)
    return known.type if known else None


def typed(key: str, value: Any) -> Any:
    """A value, which may be text of the command line, as its key's type.

    Raises:
        UserError: there is no such key, or the value is of another type.
    """
    key = key_now(key)
    return _coerce(key, value, key_type(key))


def _coerce(key: str, value: Any, kind: Any) -> Any:
    """A value as its key's type; text from the command line is parsed."""
    if kind is None:
        raise UserError(f"unknown configuration key {key!r}; known keys: {', '.join(sorted(all_keys()))}")
    if get_origin(kind) is Literal:
        require(
            value in get_args(kind),
            f"{key} must be one of {', '.join(map(str, get_args(kind)))}, not {value!r}",
        )
        return value
    if kind is bool:
        named = {"true": True, "false": False, True: True, False: False}
        require(value in named, f"{key} must be true or false, not {value!r}")
        return named[value]
    try:
        number = kind(value)
    except (TypeError, ValueError, OverflowError):
        number = None
    exact = number is not None and (kind is not int or isinstance(value, str) or number == value)
    words = {int: "a whole number", float: "a number", str: "text"}
    require(exact, f"{key} must be {words[kind]}, not {value!r}")
    return number

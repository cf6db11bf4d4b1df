"""The components that a name can select, and where each comes from.

A component is a class of one *kind* (a loss, an encoder, ...) with a ``name``. It comes with the package,
from the study file, or from the entry points ``learner_ray.<kind>`` of an installed package. None is imported
before a name asks for it: the classes need PyTorch, their names do not."""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib
import inspect
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version
from typing import Any

from learner_ray.core.errors import UserError


@dataclass(frozen=True, kw_only=True)
class BuiltIn:
    """A component that comes with the package."""

    address: str
    """``module:Class``."""
    config: str = ""
    """``module:Class`` of its configuration, where that can be had without the component itself."""
    package: str = ""
    """The package that computes it, where that is not this one; an extra of the same name installs it."""


@dataclass(kw_only=True)
class Registry:
    """All components of one kind."""

    kind: str
    """What messages, entry points and configuration keys call it."""
    base: str
    """``module:Class`` that every component derives from."""
    built_in: Mapping[str, BuiltIn]
    selected_by: str = ""
    """The key or option that takes a name, as messages call it; empty is ``<kind>.name``."""
    also: str = ""
    """``module:Class`` of another library whose subclasses will do too, with or without a name."""
    _added: dict[str, type] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """The names of all components, entry points included, without importing any."""
        return sorted({*self.built_in, *self._added, *self._entry_points()})

    def get(self, name: str) -> Any:
        """The class of a name.

        Raises:
            UserError: no component has this name, or its package cannot be imported.
        """
        if name in self._added:
            return self._added[name]
        if name in self.built_in:
            self.identity(name)
            return _import(self.built_in[name].address)
        points = self._entry_points()
        self.require(name)
        self._added[name] = self._checked(_load(points[name]), name)
        return self._added[name]

    def require(self, name: str) -> None:
        """Refuses a name that no component has, without importing any.

        Raises:
            UserError: no component has this name.
        """
        if not self.knows(name):
            selected_by = self.selected_by or f"{self.kind}.name"
            raise UserError(f"{selected_by} is {name!r}; known: {', '.join(self.names)}")

    def is_own(self, name: str) -> bool:
        """Whether a component is a class of the user's own file."""
        return name in self._added and "==" not in self.identity(name)

    def knows(self, name: str) -> bool:
        """Whether some component has this name."""
        return name in self._added or name in self.built_in or name in self._entry_points()

    def config_class(self, name: str) -> Any:
        """The dataclass of a component's configuration.

        Raises:
            UserError: no component has this name.
        """
        built_in = self.built_in.get(name)
        if built_in and built_in.config and name not in self._added:
            return _import(built_in.config)
        return self.get(name).Config

    @property
    def known_names(self) -> list[str]:
        """The names of all components but those of entry points that no name has asked for yet."""
        return [*self.built_in, *self._added]

    def added(self, cls: Any) -> None:
        """Takes in a class at its definition, if it has a name of its own. To define a component in a study
        file is all that is needed; defined again, as in a notebook, it replaces the one before.

        Raises:
            UserError: a component of the package has that name.
        """
        name = cls.__dict__.get("name")
        if cls.__module__.startswith("learner_ray.") or name is None:
            return
        if not isinstance(name, str) or not name.isidentifier():
            raise UserError(
                f"{self.kind} {cls.__name__}: its name is {name!r}; give it letters, digits and _"
            )
        if name in self.built_in:
            raise UserError(f"a {self.kind} named {name!r} exists already; choose another name")
        self._added[name] = cls

    def identity(self, name: str) -> str:
        """What tells one version of a component from another: nothing for one that comes with this package,
        the package and its version for one of another package, and a hash of its source for a class of the
        user's.

        Raises:
            UserError: no component has this name, or its package is not installed.
        """
        if name in self.built_in:
            return self._version(name, self.built_in[name].package)
        cls, point = self.get(name), self._entry_points().get(name)
        if point is not None and point.dist is not None and point.module == cls.__module__:
            return f"{point.dist.name}=={point.dist.version}"
        return source_hash(cls)

    @contextmanager
    def own_code(self, name: str) -> Iterator[None]:
        """Runs code of a component: what a user's own raises, which may be anything, becomes a message.

        Raises:
            UserError: the component raised it, or is not of this package and raised anything but an error of
                files or memory.
        """
        try:
            yield
        except (UserError, MemoryError):
            raise
        except Exception as error:
            # Readers of images raise OSError too, for a damaged file: without a number it tells of no file.
            if name in self.built_in or (isinstance(error, OSError) and error.errno is not None):
                raise
            raise UserError(f"the {self.kind} {name!r} fails: {type(error).__name__}: {error}") from error

    def _version(self, name: str, package: str) -> str:
        try:
            return f"{package}=={version(package)}" if package else ""
        except PackageNotFoundError as error:
            raise UserError(
                f"the {self.kind} {name} needs the package {package}, which is not installed: "
                f"pip install 'learner-ray[{package}]'"
            ) from error

    def _entry_points(self) -> dict[str, EntryPoint]:
        return _entry_points(f"learner_ray.{self.kind}")

    def _checked(self, cls: Any, name: str) -> Any:
        if self.also and isinstance(cls, type) and issubclass(cls, _import(self.also)):
            return cls
        base: Any = _import(self.base)
        if not (
            isinstance(cls, type) and issubclass(cls, base) and isinstance(getattr(cls, "name", None), str)
        ):
            raise UserError(
                f"the entry point {name!r} leads to {cls!r}, which is no {self.kind}: derive a class from "
                f"{self.base.replace(':', '.')} and give it a name"
            )
        if getattr(cls, "name", None) != name:
            raise UserError(
                f"the entry point {name!r} leads to a {self.kind} named {getattr(cls, 'name', None)!r}: "
                "give both one name"
            )
        return cls


@functools.cache
def source_hash(cls: type) -> str:
    """SHA-256 over the source of a class and of the classes it derives from in the same file, without
    comments and docstrings: what is computed, not how it is described."""
    own = [c for c in cls.__mro__ if c.__module__ == cls.__module__]
    text = "\n".join(_source(c) for c in own)
    return hashlib.sha256(text.encode()).hexdigest()


def _source(cls: type) -> str:
    tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [s for s in body if not _is_text(s)] or [ast.Pass()]  # type: ignore[attr-defined]
    return ast.unparse(tree)


def _is_text(statement: Any) -> bool:
    value = getattr(statement, "value", None)
    return (
        isinstance(statement, ast.Expr) and isinstance(value, ast.Constant) and isinstance(value.value, str)
    )


@functools.cache
def _entry_points(group: str) -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=group)}


def _load(point: EntryPoint) -> Any:
    try:
        return point.load()
    except Exception as error:  # another package's own code may raise anything
        owner = point.dist.name if point.dist else point.value
        raise UserError(
            f"the entry point {point.name!r} of {owner} cannot be loaded ({type(error).__name__}: {error}): "
            "repair or remove that package"
        ) from error


def _import(address: str) -> Any:
    module, _, name = address.partition(":")
    return getattr(importlib.import_module(module), name)

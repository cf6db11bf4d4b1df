"""The user's own Python files, from which a run takes its own components."""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import sys
import traceback
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from learner_ray.core.caching import cached_once
from learner_ray.core.components import KINDS
from learner_ray.core.config import Config
from learner_ray.core.errors import UserError
from learner_ray.run.old_study_files import old_modules
from learner_ray.run.spec import Source

logger = logging.getLogger(__name__)


def components_of(config: Config) -> dict[str, str]:
    """The components that decide what a run of a configuration computes: kind to name."""
    return {
        "loss": config.loss.name,
        "encoder": config.encoder.name,
        "selection_metric": config.progression.selection_metric,
    }


def identities(config: Config) -> dict[str, str]:
    """The version of each of a run's components, by kind. Those of this package have none.

    Raises:
        UserError: a component is unknown, or its package cannot be imported.
    """
    found = {
        kind: KINDS[kind].identity(name) for kind, name in components_of(config).items() if name != "none"
    }
    return {kind: identity for kind, identity in found.items() if identity}


def with_code(source: Source, config: Config, study_file: str) -> Source:
    """The source of a run, with the versions of its own components and the study file that defines them.

    Raises:
        UserError: a component is defined where no other process can import it.
    """
    found = identities(config)
    names = components_of(config)
    own = [(kind, names[kind]) for kind in found if KINDS[kind].is_own(names[kind])]
    if source.format and KINDS["source"].is_own(source.format):  # the cohort's hash says what it read
        own.append(("source", source.format))
    if own and not study_file:
        kind, name = own[0]
        raise UserError(
            f"the {kind} {name!r} is defined in a script or notebook, where the processes that train "
            "cannot find it: put it into a study file (.py) and give that file's path for the study"
        )
    return replace(source, components=tuple(sorted(found.items())), study_file=study_file if own else "")


def load_components(source: Source, config: Config) -> Config:
    """Imports what a run's configuration names, and gives the configuration with it.

    Raises:
        UserError: the study file is gone, or a component is not the one that the run was planned with.
    """
    path = Path(source.study_file)
    if source.study_file_hash and file_hash(path) != source.study_file_hash:  # a run of commit 3590708
        raise UserError(
            f"{path} has changed since this run was planned, and its loss with it: restore the file, or "
            "start the study anew"
        )
    if source.study_file:
        import_file(path)
    if not source.study_file_hash:
        now = identities(config)
        for kind, planned in source.components:
            if now.get(kind) != planned:
                where = source.study_file or planned.partition("==")[0]
                raise UserError(
                    f"the {kind} {components_of(config)[kind]!r} of {where} has changed since this run was "
                    f"planned ({planned} then, {now.get(kind)} now): restore it, or start the study anew"
                )
    return config.resolved()


def with_named_file(source: Source, named: str | Path | None) -> Source:
    """The source of a run that was read from its folder, whose code is that of a study file which the user
    has named: a folder that came from somebody else says itself which code it would run.

    Args:
        source: the run's.
        named: the file; None where the user named none.

    Raises:
        UserError: the run has components of its own, and no file was named, or there is none at its path.
    """
    if not source.study_file:
        return source
    if not named:
        own = ", ".join(kind for kind, _ in source.components) or "code"
        raise UserError(
            f"the run takes its {own} from {source.study_file}: read that file, which can do all that you "
            "can, and name it with --study FILE"
        )
    logger.info("Code of %s runs, SHA-256 %s", named, file_hash(Path(named)))
    return replace(source, study_file=str(Path(named).resolve()))


def file_hash(path: Path) -> str:
    """SHA-256 of a study file.

    Raises:
        UserError: it is not there, or cannot be read.
    """
    if not path.is_file():
        raise UserError(f"no study file at {path}")
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error


def import_file(path: Path) -> ModuleType:
    """The module of a file; as long as the file stays the same, the same module with the same classes."""
    return _import_content(path.resolve(), file_hash(path))


@cached_once()
def _import_content(path: Path, content_hash: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"{path.stem}_{content_hash[:12]}", path)
    if spec is None or spec.loader is None:
        raise UserError(f"{path} cannot be read as a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module  # where Python looks for the source of a class
    try:
        with old_modules():
            spec.loader.exec_module(module)
    except UserError as error:
        raise UserError(f"{path}{_line(error, path)}: {error}") from error
    except (Exception, SystemExit) as error:  # the user's own code may raise anything
        raise UserError(f"{path}{_line(error, path)}: {type(error).__name__}: {error}") from error
    return module


def _line(error: BaseException, path: Path) -> str:
    """The line of a file that an error comes from, as ", line 3"; empty where it is not known."""
    if isinstance(error, SyntaxError):  # it names the line itself
        return ""
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
    return f", line {lines[-1]}" if lines else ""

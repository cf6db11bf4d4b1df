"""Study files of commit 3590708 can still be read: they import modules that have moved, and some names that
have changed."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from learner_ray.core.components import LOSSES

OLD = ("learner_ray.config", "learner_ray.objectives", "learner_ray.errors")


@contextmanager
def old_modules() -> Iterator[None]:
    """Makes the old module names importable inside a ``with`` block."""
    finder = _OldModules()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in OLD:
            sys.modules.pop(name, None)


class _OldModules(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Makes the old modules when they are asked for."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        return importlib.util.spec_from_loader(name, self) if name in OLD else None

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__.update(_contents(module.__name__))


def _contents(name: str) -> dict[str, Any]:
    from learner_ray.core import config, errors

    if name == "learner_ray.errors":
        return vars(errors)
    if name == "learner_ray.config":
        old = {"Config": _config, "ModelConfig": config.EncoderConfig, "ObjectiveConfig": _loss_config}
        return {key: value for key, value in vars(config).items() if not key.startswith("__")} | old
    # By its address, for this package comes before the losses.
    base: Any = importlib.import_module(LOSSES.base.partition(":")[0])

    class Objective(base.Loss):  # type: ignore[misc]
        """A loss whose method has its old name."""

        def compute(self, batch: base.Batch) -> Any:
            return self.loss(batch)

    return {"Objective": Objective, "Batch": base.Batch, "TrainingScores": base.TrainingScores}


def _config(**sections: Any) -> Any:
    from learner_ray.core.config import Config

    renamed = {"model": "encoder", "objective": "loss"}
    plain = {renamed.get(key, key): value for key, value in sections.items()}
    values = plain.pop("loss", {})
    return Config(**plain).with_values(values)


def _loss_config(**values: Any) -> dict[str, Any]:
    """All losses had one dataclass: its values, for the configuration to give to whichever has them."""
    return {f"loss.{key}": value for key, value in values.items()}

"""A study: one base configuration, its arms as named edits, and the space each arm is searched in."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from learner_ray.core.config import Config, all_keys, flatten
from learner_ray.core.errors import UserError
from learner_ray.core.old_names import key_now
from learner_ray.study.pruner_choice import PrunerChoice, check_pruner

if TYPE_CHECKING:  # a search needs it; a study that is only looked at does not
    import optuna


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One variant of the ablation: named edits to the study's base configuration."""

    name: str
    label: str
    """How tables and figures call it."""
    edits: Mapping[str, Any] = field(default_factory=dict)
    control: bool = False
    """A control is not searched: it runs at the base configuration."""
    seed_offset: str = ""
    """Gives an arm seeds of its own. Two arms that differ in nothing else show what chance alone does."""

    def __post_init__(self) -> None:
        name = self.name
        object.__setattr__(self, "edits", {key_now(key): value for key, value in self.edits.items()})
        if not name.strip() or name != name.strip() or "," in name:
            raise UserError(
                f"arm {name!r}: a name has no comma, since --arms takes names with commas between them, no "
                "spaces at its ends, and is not empty: call the arm otherwise (its label may be anything)"
            )
        for text in (name, self.label):
            if not text.isprintable():
                raise UserError(f"arm {name!r}: there are control characters in {text!r}")


class Suggest:
    """Asks Optuna for the values a space wants, unless a key is fixed by the arm, the user or the cohort."""

    def __init__(self, trial: optuna.trial.BaseTrial, fixed: frozenset[str]) -> None:
        self._trial = trial
        self._fixed = fixed
        self.values: dict[str, Any] = {}

    def real(self, key: str, low: float, high: float, *, log: bool = False) -> None:
        """A real number in [low, high], uniform, or uniform in its logarithm."""
        key = key_now(key)
        if key not in self._fixed:
            _check_bounds(key, low, high, log)
            self.values[key] = self._trial.suggest_float(key, low, high, log=log)

    def choice(self, key: str, options: Sequence[Any]) -> None:
        """One of the options."""
        key = key_now(key)
        if key not in self._fixed:
            if not options:
                raise UserError(f"the space gives {key} no option to choose from")
            self.values[key] = self._trial.suggest_categorical(key, options)


def _check_bounds(key: str, low: float, high: float, log: bool) -> None:
    if not -math.inf < low <= high < math.inf or (log and low <= 0):
        kind = "finite numbers above 0" if log else "finite numbers"
        raise UserError(f"the space searches {key} from {low} to {high}: give {kind}, the lower one first")


class BaseValues(Suggest):
    """Answers a space with a configuration's own values, as far as they lie within it."""

    def __init__(self, config: Config, fixed: frozenset[str]) -> None:
        self._own = flatten(config.to_dict())
        self._fixed = fixed
        self.values = {}

    def real(self, key: str, low: float, high: float, *, log: bool = False) -> None:
        key = key_now(key)
        if key not in self._fixed and key in self._own and low <= self._own[key] <= high:
            self.values[key] = self._own[key]

    def choice(self, key: str, options: Sequence[Any]) -> None:
        key = key_now(key)
        if key not in self._fixed and self._own.get(key) in options:
            self.values[key] = self._own[key]


Space = Callable[[Suggest, Config], None]
"""Define-by-run: asks for each key that matters to the arm's configuration. Keys that all arms share come
first, so that the random start points of all arms agree in them."""


def distributions_of(
    space: Space, config: Config, fixed: frozenset[str]
) -> dict[str, optuna.distributions.BaseDistribution]:
    """The distribution of every key that a space asks for at one configuration."""
    import optuna

    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0)).ask()
    space(Suggest(trial, fixed), config)
    return trial.distributions


@dataclass(frozen=True, kw_only=True)
class Study:
    """What a study file declares as ``STUDY``."""

    name: str
    modality: str
    base: Config
    arms: tuple[Arm, ...]
    default_arms: tuple[str, ...]
    """The arms that run when ``--arms`` is not given."""
    reference: str
    """The arm all others are compared with."""
    space: Space
    profiles: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Per profile, dotted edits to the base configuration."""
    primary_metric: str = "macro_f1"
    pruner: PrunerChoice = "halving"
    """What stops trials early, unless ``--pruner`` names another: a name, or an object of a pruner."""
    objectives: tuple[type, ...] = ()
    """Nothing: study files of commit 3590708 list here the losses that they define."""
    file: str = ""
    """The study file it was read from, filled in by whoever reads it; empty for a study of the package."""

    def __post_init__(self) -> None:
        names = [arm.name for arm in self.arms]
        for name in (*self.default_arms, self.reference):
            if name not in names:
                raise UserError(f"study {self.name}: no arm is called {name!r}; arms: {', '.join(names)}")
        if len(set(names)) < len(names):
            raise UserError(f"study {self.name}: two arms share a name among {', '.join(names)}")
        for edits in (*(arm.edits for arm in self.arms), *self.profiles.values()):
            self.base.with_values(dict(edits))  # a wrong edit fails here, before anything runs
        check_pruner(self.pruner)

    def arm(self, name: str) -> Arm:
        """The arm of a name.

        Raises:
            UserError: the study has none of this name.
        """
        for arm in self.arms:
            if arm.name == name:
                return arm
        known = ", ".join(arm.name for arm in self.arms)
        raise UserError(f"study {self.name} has no arm {name!r}; arms: {known}")

    def searched_keys(
        self, config: Config, fixed: frozenset[str]
    ) -> dict[str, optuna.distributions.BaseDistribution]:
        """The distribution of every key that the space asks for at one configuration."""
        try:
            found = distributions_of(self.space, config, fixed)
        except UserError as error:
            raise UserError(f"study {self.name}: {error}") from error
        except Exception as error:  # the user's own code may raise anything
            raise UserError(f"study {self.name}: its space fails: {type(error).__name__}: {error}") from error
        keys = all_keys()
        unknown = [key for key in found if key not in keys]
        if unknown:
            raise UserError(f"study {self.name}: its space asks for unknown keys: {', '.join(unknown)}")
        for key, distribution in found.items():
            bounds = vars(distribution)
            if "choices" not in bounds and keys[key].type is not float:
                raise UserError(f"study {self.name}: its space asks for real numbers of {key}: offer choices")
            for value in bounds.get("choices") or (bounds["low"], bounds["high"]):
                alone = {"loss.name": config.loss.name, "encoder.name": config.encoder.name, key: value}
                Config().with_values(alone)  # others may be searched with it
        return found

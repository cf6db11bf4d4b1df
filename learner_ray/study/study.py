"""A study: one base configuration, its arms as named edits, and the space each arm is searched in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from learner_ray.core.config import Config
from learner_ray.core.errors import UserError
from learner_ray.core.old_names import key_now
from learner_ray.study.main_table import default_metric
from learner_ray.study.pruner_choice import PrunerChoice, check_pruner
from learner_ray.study.recipe_checks import (
    check_bounds,
    check_endpoint,
    check_names,
    check_positive,
    check_values,
    ranges_of,
    start_of,
)

if TYPE_CHECKING:  # a search needs it; a study that is only looked at does not
    import optuna


WITH_EARLIER_SCORE = " + earlier score"
"""Ends the name, in the ledger, of an arm whose classifier is combined with the earlier score."""


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One variant of the ablation: named edits to the study's base configuration."""

    name: str
    label: str
    """The arm's name in tables and figures."""
    edits: Mapping[str, Any] = field(default_factory=dict)
    control: bool = False
    """A control is not searched: it runs at the base configuration."""
    seed_offset: str = ""
    """Gives an arm seeds of its own. Two arms that differ in nothing else show what chance alone does."""
    epochs_factor: int = 1
    """How many times as long as the other arms it trains: multiplies ``train.epochs``, also where a
    profile or ``--epochs`` sets it."""

    def __post_init__(self) -> None:
        name = self.name
        object.__setattr__(self, "edits", {key_now(key): value for key, value in self.edits.items()})
        if not name.strip() or name != name.strip() or "," in name:
            raise UserError(
                f"arm {name!r}: a name has no comma, since --arms takes names with commas between them, no "
                "spaces at its ends, and is not empty: call the arm otherwise (its label may be anything)"
            )
        if not isinstance(self.epochs_factor, int) or not 1 <= self.epochs_factor <= 100:
            raise UserError(
                f"arm {name!r}: epochs_factor is {self.epochs_factor!r}, not a number from 1 to 100"
            )
        if name.endswith(WITH_EARLIER_SCORE):
            raise UserError(
                f"arm {name!r}: so the ledger calls an arm combined with the earlier score: call it otherwise"
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
            check_bounds(key, low, high, log)
            self.values[key] = self._trial.suggest_float(key, low, high, log=log)

    def choice(self, key: str, options: Sequence[Any]) -> None:
        """One of the options."""
        key = key_now(key)
        if key not in self._fixed:
            if not options:
                raise UserError(f"the space gives {key} no option to choose from")
            self.values[key] = self._trial.suggest_categorical(key, options)


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
    """What a study file declares as ``STUDY``: a recipe for arms and their search.

    Raises:
        UserError: a name that it gives is unknown, or a value that it sets cannot be.
    """

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
    primary_metric: str = ""
    """The metric that verdicts are about; where none is named, ``macro_f1``, or that of the endpoint."""
    equivalence_margin: float | None = None
    """Difference of the primary metric, in its unit, that an equivalent arm stays below. None: the report's
    default, which it calls a choice."""
    retest_days: float = 1.0
    """Two visits of one patient fewer days apart than this count as retests of the score: its reliability is
    estimated from them."""
    pruner: PrunerChoice = "halving"
    """What stops trials early, unless ``--pruner`` names another: a name, or an object of a pruner."""
    objectives: tuple[type, ...] = ()
    """Unused: study files of commit 3590708 list here the losses that they define."""
    file: str = ""
    """The study file it was read from, filled in by its reader; empty for a study of the package."""

    def __post_init__(self) -> None:
        if not self.primary_metric:
            object.__setattr__(self, "primary_metric", default_metric(self.endpoint))
        check_names(self)
        check_endpoint(self)
        check_values(self)
        check_positive(self)
        check_pruner(self.pruner)

    @property
    def endpoint(self) -> str:
        """What is predicted of a pair of visits: ``progression``, or ``decline`` (worse or not)."""
        return self.base.progression.endpoint

    def with_endpoint(self, endpoint: str) -> Study:
        """A copy of another endpoint, and of its primary metric where that was the default.

        Raises:
            UserError: there is no such endpoint, or the primary metric is none of it.
        """
        base = self.base.with_values({"progression.endpoint": endpoint})
        default = self.primary_metric == default_metric(self.endpoint)
        return replace(self, base=base, primary_metric="" if default else self.primary_metric)

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

    def search_of(
        self, config: Config, fixed: frozenset[str], arm: str
    ) -> tuple[dict[str, optuna.distributions.BaseDistribution], dict[str, Any]]:
        """The search of one arm: the distribution of every key that the space asks for, and the values with
        which the search begins, both by dotted key.

        Args:
            config: the configuration of the arm that is searched.
            fixed: keys that the search leaves alone.
            arm: the arm's name, for messages.

        Raises:
            UserError: the space asks for what cannot be, or a value with which the search would begin lies
                outside its range.
        """
        ranges = ranges_of(self.name, self.space, config, fixed)
        start = start_of(ranges, config, f"study {self.name}: arm {arm!r}")
        return distributions_of(self.space, config, fixed), start

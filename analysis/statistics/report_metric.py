"""What a metric of the report is, and where the one of a name comes from.

A metric comes with this package, or it is the user's: a class that registers itself at its definition, or one
that an installed package names among its entry points ``learner_ray.report_metric``. Such a package is
imported when its metric is asked for, and not before.
"""

from __future__ import annotations

import hashlib
import inspect
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.results.errors import ReportError
from analysis.statistics.directed_metric import DirectedMetric

Array = NDArray[np.floating[Any]]


def ratio(numerator: Array, denominator: Array, undefined: float) -> Array:
    """Divide, shape (as given), with a value of its own wherever the denominator is zero."""
    safe = np.where(denominator > 0, denominator, 1)
    found: Array = np.where(denominator > 0, numerator / safe, undefined)
    return found


GROUP = "learner_ray.report_metric"
"""The entry points of a package that brings metrics."""
OTHER_COLUMNS = ("brier", "nll", "spearman")
"""What tables show beside the metrics; no metric may have such a name."""


class ReportMetric(DirectedMetric):
    """A metric of the predicted classes, computed from counts. To derive a class that has a ``name`` is all
    it takes to make the metric known."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        METRICS.add(cls)

    @abstractmethod
    def compute(self, counts: Array) -> Array:
        """Compute the metric of many confusion matrices at once.

        Args:
            counts: shape (..., 3, 3); ``counts[..., i, j]`` is how many pairs of true class i were called j,
                with 0 worse, 1 same, 2 better. Fractions occur, for matrices are averaged over seeds, and so
                do classes that nobody has.

        Returns:
            Shape (...); NaN where the metric is not defined.
        """


class MetricRegistry(Mapping[str, ReportMetric]):
    """All metrics by name. Whether a name is known can be asked without importing any package."""

    def __init__(self) -> None:
        self._classes: dict[str, type[ReportMetric]] = {}
        self._checked: dict[type[ReportMetric], ReportMetric] = {}

    def __contains__(self, name: object) -> bool:
        return name in self._classes or name in self._entry_points()

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*self._classes, *self._entry_points()]))

    def __len__(self) -> int:
        return len({*self._classes, *self._entry_points()})

    def __getitem__(self, name: str) -> ReportMetric:
        """Return the metric of a name; its package is imported where an entry point leads to it.

        Raises:
            KeyError: no metric has this name.
            ReportError: the package cannot be imported, or the metric does not do what a metric must.
        """
        if name not in self._classes:
            self._classes[name] = _loaded(self._entry_points()[name])
        cls = self._classes[name]
        if cls not in self._checked:
            self._checked[cls] = _checked(cls)
        return self._checked[cls]

    @property
    def built_in(self) -> dict[str, ReportMetric]:
        """The metrics that come with this package, in the order tables show them."""
        return {name: self[name] for name, cls in self._classes.items() if _is_ours(cls)}

    def shown(self, endpoint: str) -> dict[str, ReportMetric]:
        """The metrics of an endpoint that come with this package, in the order tables show them."""
        return {name: metric for name, metric in self.built_in.items() if metric.endpoint == endpoint}

    def add(self, cls: type[ReportMetric]) -> None:
        """Take in a class at its definition, where it has a name of its own.

        Defined again, as in a notebook, it replaces the one before.

        Raises:
            ReportError: its name cannot be one or is taken, or something is missing.
        """
        name = cls.__dict__.get("name")
        if name is None:  # a base for others
            return
        what = f"report metric {cls.__name__}"
        if not isinstance(name, str) or not name.isidentifier():
            raise ReportError(f"{what}: its name is {name!r}; give it letters, digits and _")
        if not isinstance(getattr(cls, "label", None), str):
            raise ReportError(f'{what}: it has no label; tables need one, as in label = "Macro-F1"')
        if cls.compute is ReportMetric.compute:
            raise ReportError(f"{what}: it has no method compute(self, counts)")
        before = self._classes.get(name)
        if name in OTHER_COLUMNS or (before is not None and _is_ours(before)):
            raise ReportError(f"{what}: the report has a {name!r} already; choose another name")
        self._classes[name] = cls

    def _entry_points(self) -> dict[str, EntryPoint]:
        """The entry points of the installed packages, but those under names that are taken."""
        found = {point.name: point for point in entry_points(group=GROUP)}
        return {name: found[name] for name in sorted(found) if name not in OTHER_COLUMNS}


METRICS = MetricRegistry()
"""Every metric that the report knows, by name; those that come with it lie in ``metrics.py``."""


def source_file(metric: ReportMetric) -> Path | None:
    """Return the file in which the user's metric is defined; None for one of ours or one without a file."""
    if _is_ours(type(metric)):
        return None
    try:
        path = Path(inspect.getfile(type(metric))).resolve()
    except (TypeError, OSError):  # defined in a notebook
        return None
    return path if path.is_file() else None


def definition(metric: ReportMetric) -> str:
    """Tell one version of a user's metric from another, for a study that freezes what it asks.

    The source would not do: a constant or a function that it uses may lie anywhere.

    Returns:
        Empty for one of ours, whose changes raise ``ANALYSIS``; else a SHA-256 of what the metric makes of
        some confusion matrices, of its direction, margin and bounds.
    """
    if _is_ours(type(metric)):
        return ""
    counts = (np.arange(40 * 9, dtype=np.float64) ** 2 % 11).reshape(40, 3, 3)
    counts[10:15, 0] = counts[15:20, :, 2] = counts[20:25, 1] = 0  # a class that nobody has, or predicts
    values = np.asarray(metric.compute(counts), dtype=np.float64)
    told = [metric.higher_is_better, metric.margin, *metric.bounds, *(f"{value:.8g}" for value in values)]
    return hashlib.sha256(" ".join(map(str, told)).encode()).hexdigest()


def _is_ours(cls: type) -> bool:
    return cls.__module__.startswith("analysis.")


def _loaded(point: EntryPoint) -> type[ReportMetric]:
    owner = point.dist.name if point.dist else point.value
    what = f"the report metric {point.name!r} of the package {owner}"
    try:
        cls = point.load()
    except Exception as error:  # another package's own code may raise anything
        raise ReportError(
            f"{what} cannot be loaded ({type(error).__name__}: {error}): repair or remove the package"
        ) from error
    if not (
        isinstance(cls, type) and issubclass(cls, ReportMetric) and cls.__dict__.get("name") == point.name
    ):
        raise ReportError(
            f"{what} leads to {point.value}: the entry point must name a class derived from ReportMetric "
            f'with name = "{point.name}"'
        )
    return cls


def _checked(cls: type[ReportMetric]) -> ReportMetric:
    """Make the metric and try it: every interval is computed from many matrices at once."""
    metric, what = cls(), f"report metric {cls.name!r}"
    counts = np.arange(2 * 3 * 9, dtype=np.float64).reshape(2, 3, 3, 3) % 7
    try:
        together = np.asarray(metric.compute(counts.copy()), dtype=np.float64)
        single = np.array([[float(metric.compute(c.copy())) for c in row] for row in counts])
    except Exception as error:  # the user's own code may raise anything
        raise ReportError(f"{what}: compute fails ({type(error).__name__}: {error})") from error
    if together.shape != single.shape or not np.allclose(together, single, equal_nan=True):
        raise ReportError(
            f"{what}: compute must give one value per matrix: from counts of shape (..., 3, 3) values of "
            "shape (...), the same as from each matrix alone; index from the end, as in counts[..., 0, 2]"
        )
    return metric

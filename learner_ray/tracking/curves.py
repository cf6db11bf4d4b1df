"""TensorBoard curves of all runs under readable names, and a complete HParams tab."""

from __future__ import annotations

import bisect
import math
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.plugins.hparams import api_pb2, metadata
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo, SessionStartInfo

from learner_ray.core.names import file_name
from learner_ray.run.folder import RunStore
from learner_ray.run.progress import finite_numbers
from learner_ray.run.states import ENDED_WELL
from learner_ray.study.callback import Callback
from learner_ray.study.planned_run import PlannedRun, RunResult
from learner_ray.study.runner import StudyRunner
from learner_ray.tracking.event_files import EventFile, SearchSummary

METRICS = (
    "selection_score",
    "validation/macro_f1",
    "validation/accuracy",
    "validation/balanced_accuracy",
    "validation/kappa",
    "validation/log_loss",
    "validation/score_spearman",
    "train/loss",
)

LARGE = 500
"""With more runs than this a study shows its best trials alone, unless all are asked for: nobody looks
through so many curves, and each run has a folder and a file."""
BEST = 10
"""Trials of each arm of which a large study shows curves."""


class Curves(Callback):
    """Writes the curves of runs, one event file per run, with our own epoch as the step.

    Everything here is derived from ``progress.jsonl``: a folder is written anew when its run starts again.

    Args:
        folder: TensorBoard's folder.
        store: the folders of all runs.
        searched: the distribution of every key that is searched.
        arms: the names of all arms.
        shown: ``all`` runs; ``best``: final runs, the ten best trials of each arm and a summary of its
            search; ``none``; or None, which stands for ``all`` in a study of up to 500 runs and else for
            ``best``.
    """

    def __init__(
        self,
        folder: Path,
        store: RunStore,
        searched: Mapping[str, optuna.distributions.BaseDistribution],
        arms: list[str],
        shown: str | None = None,
    ) -> None:
        self._folder = folder
        self._store = store
        self._shown = shown or "all"
        self._is_open = shown is None
        """Whether the number of runs is still to say what is shown."""
        self._files: dict[str, EventFile] = {}
        """The event files of running runs, by label."""
        self._best: dict[str, list[tuple[float, str, PlannedRun]]] = {}
        """By arm, the trials that are shown: their score, label and run, the best one first."""
        self._summaries: dict[str, SearchSummary] = {}
        # One description of the whole experiment at the root: without it the HParams tab drops every
        # parameter that some arm lacks.
        shutil.rmtree(folder / ".hparams", ignore_errors=True)
        if self._shown != "none":
            EventFile(folder / ".hparams").add(_experiment(searched, arms))

    def on_begin(self, runner: StudyRunner) -> None:
        """Decides what is shown, where nobody said so."""
        groups = [search.group for search in runner.groups.values()]
        if self._is_open and sum(group.runs for group in groups) > LARGE:
            self._shown = "best"
        for arm in {group.arm.name for group in groups}:
            folder = self._folder / file_name(arm) / "search"
            shutil.rmtree(folder, ignore_errors=True)
            searches = {g.name: g.trials for g in groups if g.arm.name == arm and not g.chosen_by}
            if self._shown == "best" and any(searches.values()):
                self._summaries[arm] = SearchSummary(EventFile(folder), searches)

    def on_start(self, planned: PlannedRun) -> None:
        """Begins the run's event file, with the epochs of before a restart."""
        if self._is_live(planned):
            rows = self._store.folder(planned.spec.hash).progress()
            self._write_rows(planned, rows[:-1])  # the last one is reported again

    def on_row(self, planned: PlannedRun, row: dict[str, Any]) -> None:
        """Writes the numbers of an epoch."""
        if self._is_live(planned):
            self._file(planned).add(_scalars(row), step=row["epoch"])

    def on_end(self, outcome: RunResult) -> None:
        """Ends the run's event file; writes it whole where the run has ended before, or is now shown."""
        planned = outcome.planned
        if self._shown == "best" and planned.role == "trial":
            if planned.arm in self._summaries:
                self._summaries[planned.arm].add(outcome)
            if not self._enters(outcome):
                shutil.rmtree(self._place(planned), ignore_errors=True)
                return
        elif not self._is_live(planned):
            return
        if planned.label not in self._files:
            if self._is_live(planned) and any(self._place(planned).glob("*")):
                return
            self._write_rows(planned, self._store.folder(planned.spec.hash).progress())
        status = api_pb2.STATUS_SUCCESS if outcome.state in ENDED_WELL else api_pb2.STATUS_FAILURE
        end = SessionEndInfo(status=status, end_time_secs=time.time())
        self._file(planned).add(_plugin_data(metadata.SESSION_END_INFO_TAG, session_end_info=end))
        del self._files[planned.label]

    def _is_live(self, planned: PlannedRun) -> bool:
        """Whether a run's curves are written while it runs: of trials only where all are shown."""
        return self._shown == "all" or (self._shown == "best" and planned.final)

    def _enters(self, outcome: RunResult) -> bool:
        """Whether a trial is among the best of its arm so far; the one whose place it takes is shown no more.

        In the end the same are shown in whatever order they came.
        """
        if not math.isfinite(outcome.selection_score):
            return False
        planned = outcome.planned
        best = self._best.setdefault(planned.arm, [])
        bisect.insort(best, (-outcome.selection_score, planned.label, planned), key=lambda each: each[:2])
        if len(best) <= BEST:
            return True
        *_, last = best.pop()
        shutil.rmtree(self._place(last), ignore_errors=True)
        return last is not planned

    def _write_rows(self, planned: PlannedRun, rows: Sequence[Mapping[str, Any]]) -> None:
        """Begins the run's event file with these rows."""
        file = self._open(planned)
        for row in rows:
            file.add(_scalars(row), step=row["epoch"])

    def _file(self, planned: PlannedRun) -> EventFile:
        """The event file of a running run; a new one where its folder was removed."""
        file = self._files.get(planned.label)
        return file if file and file.exists else self._open(planned)

    def _place(self, planned: PlannedRun) -> Path:
        """``arm/r0-f0/trial-003`` below the folder of all curves, whatever the arm is called."""
        return self._folder.joinpath(file_name(planned.arm), *planned.label.rsplit("/", 2)[1:])

    def _open(self, planned: PlannedRun) -> EventFile:
        folder = self._place(planned)
        shutil.rmtree(folder, ignore_errors=True)
        self._files[planned.label] = file = EventFile(folder)
        parameters = {"arm": planned.arm, **planned.parameters}
        start = SessionStartInfo(group_name=planned.label, start_time_secs=time.time())
        for name, value in parameters.items():
            kind = "string_value" if isinstance(value, str) else "number_value"
            setattr(start.hparams[name], kind, value)
        file.add(_plugin_data(metadata.SESSION_START_INFO_TAG, session_start_info=start))
        return file


def _scalars(row: Mapping[str, Any]) -> Summary:
    return Summary(
        value=[Summary.Value(tag=name, simple_value=value) for name, value in finite_numbers(row).items()]
    )


def _experiment(searched: Mapping[str, optuna.distributions.BaseDistribution], arms: list[str]) -> Summary:
    arm = api_pb2.HParamInfo(name="arm", type=api_pb2.DATA_TYPE_STRING)
    arm.domain_discrete.extend(arms)
    infos = [arm]
    for name, distribution in searched.items():
        info = api_pb2.HParamInfo(name=name, type=api_pb2.DATA_TYPE_FLOAT64)
        if isinstance(distribution, optuna.distributions.FloatDistribution):
            info.domain_interval.min_value = distribution.low
            info.domain_interval.max_value = distribution.high
        elif isinstance(distribution, optuna.distributions.CategoricalDistribution):
            info.domain_discrete.extend(distribution.choices)
        infos.append(info)
    metrics = [api_pb2.MetricInfo(name=api_pb2.MetricName(tag=tag)) for tag in METRICS]
    experiment = api_pb2.Experiment(hparam_infos=infos, metric_infos=metrics, time_created_secs=time.time())
    return _plugin_data(metadata.EXPERIMENT_TAG, experiment=experiment)


def _plugin_data(tag: str, **content: Any) -> Summary:
    """A summary without a value, as the HParams plugin reads it. It is made by hand, for the plugin's own
    writer imports TensorFlow."""
    data = HParamsPluginData(version=metadata.PLUGIN_DATA_VERSION, **content)
    plugin = SummaryMetadata.PluginData(plugin_name=metadata.PLUGIN_NAME, content=data.SerializeToString())
    value = Summary.Value(tag=tag, metadata=SummaryMetadata(plugin_data=plugin), tensor=metadata.NULL_TENSOR)
    return Summary(value=[value])

"""TensorBoard curves of all runs under readable names, and a complete HParams tab."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.plugins.hparams import api_pb2, metadata
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo, SessionStartInfo
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from learner_ray.core.names import file_name
from learner_ray.run.folder import RunStore
from learner_ray.study.callback import Callback
from learner_ray.study.planned_run import PlannedRun, RunResult

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

STATUS = {"complete": api_pb2.STATUS_SUCCESS, "stopped": api_pb2.STATUS_SUCCESS}


class Curves(Callback):
    """Writes one event file per run, with our own epoch as the step.

    Everything here is derived from ``progress.jsonl``: a folder is written anew when its run starts again.
    """

    def __init__(
        self,
        folder: Path,
        store: RunStore,
        searched: Mapping[str, optuna.distributions.BaseDistribution],
        arms: list[str],
    ) -> None:
        self._folder = folder
        self._store = store
        self._writers: dict[str, EventFileWriter] = {}
        # One description of the whole experiment at the root: without it the HParams tab drops every
        # parameter that some arm lacks.
        shutil.rmtree(folder / ".hparams", ignore_errors=True)
        root = EventFileWriter(str(folder / ".hparams"))
        _write(root, _experiment(searched, arms), step=0)
        root.close()

    def on_start(self, planned: PlannedRun) -> None:
        """Begins the run's event file, with the epochs of before a restart."""
        writer = self._open(planned)
        for row in self._store.folder(planned.spec.hash).progress()[:-1]:  # the last one is reported again
            _write(writer, _scalars(row), step=row["epoch"])

    def on_row(self, planned: PlannedRun, row: dict[str, Any]) -> None:
        """Writes the numbers of an epoch."""
        writer = self._writer(planned)
        _write(writer, _scalars(row), step=row["epoch"])
        writer.flush()

    def on_end(self, outcome: RunResult) -> None:
        """Closes the run's event file; writes it whole where the run has ended before."""
        planned = outcome.planned
        if planned.label not in self._writers:
            if any(self._place(planned).glob("*")):
                return
            writer = self._open(planned)
            for row in outcome.progress:
                _write(writer, _scalars(row), step=row["epoch"])
        writer = self._writer(planned)
        del self._writers[planned.label]
        status = STATUS.get(outcome.state, api_pb2.STATUS_FAILURE)
        end = SessionEndInfo(status=status, end_time_secs=time.time())
        _write(writer, _plugin_data(metadata.SESSION_END_INFO_TAG, session_end_info=end), step=0)
        writer.close()

    def _writer(self, planned: PlannedRun) -> EventFileWriter:
        """The writer of a running run; a new one where its folder was removed, whose old writer would
        raise."""
        if not self._place(planned).exists():
            return self._open(planned)
        return self._writers[planned.label]

    def _place(self, planned: PlannedRun) -> Path:
        """``arm/r0-f0/trial-003`` below the folder of all curves, whatever the arm is called."""
        return self._folder.joinpath(file_name(planned.arm), *planned.label.rsplit("/", 2)[1:])

    def _open(self, planned: PlannedRun) -> EventFileWriter:
        folder = self._place(planned)
        shutil.rmtree(folder, ignore_errors=True)
        writer = EventFileWriter(str(folder))
        self._writers[planned.label] = writer
        parameters = {"arm": planned.arm, **planned.parameters}
        start = SessionStartInfo(group_name=planned.label, start_time_secs=time.time())
        for name, value in parameters.items():
            kind = "string_value" if isinstance(value, str) else "number_value"
            setattr(start.hparams[name], kind, value)
        _write(writer, _plugin_data(metadata.SESSION_START_INFO_TAG, session_start_info=start), step=0)
        return writer


def _scalars(row: Mapping[str, Any]) -> Summary:
    values = [
        Summary.Value(tag=name, simple_value=value)
        for name, value in row.items()
        if name != "epoch" and isinstance(value, int | float) and math.isfinite(value)
    ]
    return Summary(value=values)


def _write(writer: EventFileWriter, summary: Summary, *, step: int) -> None:
    writer.add_event(Event(wall_time=time.time(), step=step, summary=summary))


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

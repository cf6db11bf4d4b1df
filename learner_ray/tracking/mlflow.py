"""Runs in MLflow: an experiment per study, a parent run per arm, and below it the arm's runs."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from learner_ray.run.progress import finite_numbers
from learner_ray.run.states import ENDED_WELL
from learner_ray.tracking.destination import Destination, Row, TrackedRun

FILE = "mlflow.db"
"""The database below the study that takes the runs where no server is named."""
SERVER = "MLFLOW_TRACKING_URI"
"""MLflow's own environment variable, which names a server."""
VALUE_LENGTH = 500
"""The longest value of a parameter that every MLflow server takes, in characters."""
METRICS_AT_ONCE = 1000
"""The most numbers that a server takes in one call."""


class Mlflow(Destination):
    """MLflow by its client alone, whose calls name all that is sent: the fluent interface would add the
    user's name and the path of the script.

    Args:
        study: the name of the experiment.
        out: the study's results folder.
    """

    def __init__(self, study: str, out: Path) -> None:
        self._study, self._file = study, out / FILE
        server = os.environ.get(SERVER, "")
        self._address = server or f"sqlite:///{self._file.resolve()}"
        self.place = _without_login(server) if server else FILE
        self.opened_with = "" if server else f"mlflow ui --backend-store-uri {self._address}"
        self._arms: dict[str, str] = {}
        """Ids of the parent runs, by arm."""
        self._running: set[str] = set()

    @property
    def is_empty(self) -> bool:
        """Whether the database below the study is not there."""
        return self.place == FILE and not self._file.exists()

    def open(self) -> None:
        """Finds or makes the experiment."""
        # Nothing of a study goes to MLflow's makers.
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        logging.getLogger("mlflow").setLevel(logging.WARNING)  # it tells of every table of its database
        from mlflow import MlflowClient

        self._client = MlflowClient(self._address)
        found = self._client.get_experiment_by_name(self._study)
        self._experiment = found.experiment_id if found else self._client.create_experiment(self._study)

    def begin(self, run: TrackedRun, earlier: str) -> str:
        """Begins a run; what is there of the one that did not end goes to MLflow's bin."""
        from mlflow.entities import Param
        from mlflow.exceptions import MlflowException

        if earlier:
            with suppress(MlflowException):  # somebody has removed it
                self._client.delete_run(earlier)
            self._running.discard(earlier)
        parent = self._parent(run)
        run_id = self._create(run.label, {**run.tags, "mlflow.parentRunId": parent})
        values = [Param(name, str(value)[:VALUE_LENGTH]) for name, value in run.parameters.items()]
        self._client.log_batch(run_id, params=values)
        self._running.add(run_id)
        return run_id

    def add(self, run_id: str, rows: Sequence[Row]) -> None:
        """Logs the numbers of each epoch at its step."""
        from mlflow.entities import Metric

        now = round(time.time() * 1000)
        metrics = [
            Metric(name, value, now, row["epoch"])
            for row in rows
            for name, value in finite_numbers(row).items()
        ]
        for first in range(0, len(metrics), METRICS_AT_ONCE):
            self._client.log_batch(run_id, metrics=metrics[first : first + METRICS_AT_ONCE])

    def end(self, run_id: str, state: str) -> None:
        """Ends a run, with our word for its state as a tag."""
        self._client.set_tag(run_id, "state", state)
        self._client.set_terminated(run_id, "FINISHED" if state in ENDED_WELL else "FAILED")
        self._running.discard(run_id)

    def close(self) -> None:
        """Ends the parent runs, and marks runs that have not ended as killed."""
        for run_id in self._running:
            self._client.set_terminated(run_id, "KILLED")
        for run_id in self._arms.values():
            self._client.set_terminated(run_id, "FINISHED")

    def _parent(self, run: TrackedRun) -> str:
        """The id of the parent run of a run's arm; made once in an experiment, and found by later starts."""
        if run.arm not in self._arms:
            parents = self._client.search_runs([self._experiment], "tags.role = 'arm'")
            known = [parent for parent in parents if parent.data.tags["arm"] == run.arm]
            tags = {"study": run.tags["study"], "arm": run.arm, "role": "arm"}
            self._arms[run.arm] = known[0].info.run_id if known else self._create(run.arm, tags)
        return self._arms[run.arm]

    def _create(self, name: str, tags: Mapping[str, Any]) -> str:
        run_id: str = self._client.create_run(self._experiment, run_name=name, tags=dict(tags)).info.run_id
        return run_id


def _without_login(address: str) -> str:
    """An address without the user name and password that may stand in it."""
    parts = urlsplit(address)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()

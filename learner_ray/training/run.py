"""One trial or final run, from its specification to its files. Does not use Ray."""

from __future__ import annotations

import json
import logging
import math
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from learner_ray.core.files import write_atomic, write_json, write_parquet
from learner_ray.core.numerics import refuse_other
from learner_ray.run.folder import RunFolder
from learner_ray.run.spec import RunSpec
from learner_ray.run.states import State
from learner_ray.run.user_code import load_components
from learner_ray.training.data import data_of
from learner_ray.training.distributed import World
from learner_ray.training.label_permutations import permuted_counts
from learner_ray.training.metrics import progression_metrics, spearman
from learner_ray.training.predictions import (
    WEIGHTS,
    WITH_EARLIER_SCORE,
    embedding_table,
    pair_table,
    score_table,
)
from learner_ray.training.predictor import write_predictor
from learner_ray.training.pretraining import Pretraining
from learner_ray.training.process import make_deterministic
from learner_ray.training.progression import Embedded, Progression, true_classes
from learner_ray.training.representation import EmbeddedScans, representation_metrics
from learner_ray.training.selection_metrics import selection_metric
from learner_ray.training.speed import Utilisation, synchronise, training_speed
from learner_ray.training.step import DivergedError
from learner_ray.training.tensors import UnreadableError
from learner_ray.training.with_earlier_score import WithEarlierScore, can_add

logger = logging.getLogger(__name__)

CHECKPOINT_SECONDS = 10.0
"""A checkpoint is written after an epoch when the last one is older than this: a crash costs at most one
epoch or this much work, the longer of the two."""


class TrainingRun:
    """A run that is trained epoch by epoch, so that a pruner can stop it in between.

    The folder's files are the truth: a run whose folder holds a checkpoint goes on from there, and one whose
    folder holds ``state.json`` has ended. In a world of several ranks all advance together, and the first one
    writes.
    """

    def __init__(
        self,
        spec: RunSpec,
        folder: RunFolder,
        device: str = "cpu",
        world: World = World(),  # noqa: B008 (frozen)
    ) -> None:
        refuse_other(spec.numerics, f"run {spec.hash}")
        self.world = world
        self.devices: float = world.size
        """Devices at work on the run, as recorded: less than one where runs share a GPU."""
        self.spec = spec = replace(spec, config=load_components(spec.source, spec.config))
        self.folder = folder
        self._device = device
        make_deterministic(spec.threads, deterministic=spec.config.train.deterministic)
        self._rows: list[dict[str, Any]] = []
        self._saved_at = time.monotonic()
        folder.write_spec(spec)
        data = data_of(spec.source, spec.config)
        self._data = data
        self._note = ""
        self._pretraining: Pretraining | None = None
        if spec.config.progression.uses_encoder:
            self._pretraining = Pretraining(spec.config, data, spec.patients.pretrain, device, world)
            if spec.config.pretrains:
                self._restore(self._pretraining)

    def _restore(self, pretraining: Pretraining) -> None:
        """Goes on from the checkpoint, if there is one that can be read."""
        content, rows = self.world.from_first(self._look() if self.world.is_first else (b"", []))
        if content is None:
            return
        try:
            pretraining.restore(content, self.spec.hash, epochs=len(rows))
        except UnreadableError as error:
            self._note = (
                f"{self.folder.checkpoint.name} was removed, since {error}: the run starts from the beginning"
            )
            if self.world.is_first:
                logger.warning("%s: %s", self.folder.path, self._note)
                self.folder.drop_checkpoint()
            return
        self._rows = rows[: pretraining.epoch]

    def _look(self) -> tuple[bytes | None, list[dict[str, Any]]]:
        """The checkpoint and the progress beside it. The first rank's look is all ranks': storage may show
        others an older folder, and ranks that went on from different epochs would wait for each other."""
        path = self.folder.checkpoint
        return path.read_bytes() if path.exists() else None, self.folder.progress()

    @property
    def ended(self) -> bool:
        """Whether the run has ended, in this process or an earlier one."""
        return self.folder.state is not None

    @property
    def last_row(self) -> dict[str, Any] | None:
        """The progress row of the last finished epoch, before or after a restart; None before the first."""
        return self._rows[-1] if self._rows else None

    def advance(self) -> dict[str, Any] | None:
        """Trains one epoch and returns its progress row; None where the run ended instead.

        The row may hold a ``note`` for the user, which is not written to ``progress.jsonl``.
        """
        pretraining = self._pretraining
        try:
            if pretraining is None or pretraining.epoch >= pretraining.last_epoch:
                self._complete()
                return None
            row = self._epoch(pretraining)
        except DivergedError as error:
            self.end("diverged", str(error))
            return None
        note, self._note = self._note, ""
        return {**row, "note": note} if note else row

    def _epoch(self, pretraining: Pretraining) -> dict[str, Any]:
        start = time.perf_counter()
        with Utilisation(self._device) as utilisation:
            means = pretraining.run_epoch()
            synchronise(self._device)
            trained = time.perf_counter()
            row: dict[str, Any] = {"epoch": pretraining.epoch, **{f"train/{k}": v for k, v in means.items()}}
            if self.spec.patients.validation:
                row |= self._validate(pretraining)
        row["seconds/train"] = trained - start
        row["seconds/evaluate"] = time.perf_counter() - trained
        scans = len(self._data.of(self.spec.patients.pretrain))
        row |= training_speed(scans=scans, seconds=trained - start, waited=pretraining.waited)
        row |= utilisation.row()
        if self.devices != 1:
            row["devices"] = self.devices
        self._rows.append(row)
        if self.world.is_first:
            self._record(pretraining)
        return row

    def _record(self, pretraining: Pretraining) -> None:
        lines = "".join(_json_line(r) for r in self._rows)
        write_atomic(self.folder.path / "progress.jsonl", lines)
        if (
            pretraining.epoch < pretraining.last_epoch
            and time.monotonic() - self._saved_at > CHECKPOINT_SECONDS
        ):
            pretraining.save(self.folder.checkpoint, self.spec.hash)
            self._saved_at = time.monotonic()
        self.folder.publish()

    def _validate(self, pretraining: Pretraining) -> dict[str, float]:
        patients = self.spec.patients
        embedded = pretraining.embed((*patients.classifier, *patients.validation))
        pairs = self._data.pairs(patients.validation)
        progression = self._fit(embedded)
        scans = self._data.of(patients.validation)
        probabilities = progression.predict(pairs, scans, embedded)
        y = true_classes(progression.config, pairs)
        decided = progression.decide(probabilities)
        metrics = progression_metrics(y, probabilities, decided)
        predicted = np.array([embedded.predictions[scan] for scan in scans["scan"]])
        metrics["score_spearman"] = spearman(predicted, scans["score"].to_numpy(float))
        fitted = EmbeddedScans.of(self._data.of(patients.classifier), embedded.embeddings)
        watched = representation_metrics(EmbeddedScans.of(scans, embedded.embeddings), fitted)
        scored = {f"validation/{k}": v for k, v in metrics.items()}
        metric = selection_metric(self.spec.config.progression.selection_metric)
        score = float(metric.compute(y, probabilities, decided))
        return scored | watched | {"selection_score": score}

    def _fitted_pairs(self) -> pd.DataFrame:
        """The pairs that the classifier is fitted on."""
        progression = self.spec.config.progression
        ordered = progression.pairs == "ordered" and progression.uses_encoder
        return self._data.pairs(self.spec.patients.classifier, ordered=ordered)

    def _fit(self, embedded: Embedded) -> Progression:
        config, scans = self.spec.config, self._data.of(self.spec.patients.classifier)
        return Progression.fit(config.progression, self._fitted_pairs(), scans, embedded, config.seed)

    def _complete(self) -> None:
        if self.spec.is_final:
            self._test()
        self.end("complete")

    def _test(self) -> None:
        """Predicts the test patients, which nothing before this line has seen."""
        patients, pretraining = self.spec.patients, self._pretraining
        embedded, tuned = Embedded({}, {}), None
        if pretraining is not None and self.spec.config.progression.finetune_epochs:
            fitted = self._fit(pretraining.embed(patients.classifier))
            tuned = pretraining.finetune(fitted, self._fitted_pairs())
            embedded = pretraining.embed(patients.test)
        elif pretraining is not None:
            embedded = pretraining.embed((*patients.classifier, *patients.test))
        if self.world.is_first:
            self._predict(embedded, tuned or self._fit(embedded))

    def _predict(self, embedded: Embedded, progression: Progression) -> None:
        patients = self.spec.patients
        pairs, scans = self._data.pairs(patients.test), self._data.of(patients.test)
        probabilities = progression.predict(pairs, scans, embedded)
        decided = progression.decide(probabilities)
        table = pair_table(self._data.cohort, pairs, scans, probabilities, decided, embedded)
        write_parquet(self.folder.path / "predictions.parquet", table)
        if can_add(progression.config):
            self._predict_with_earlier_score(pairs, scans, embedded, progression)
        if self._pretraining is not None:
            scores = score_table(self._data.cohort, scans, embedded)
            write_parquet(self.folder.path / "scores.parquet", scores)
            embeddings = embedding_table(self._data.cohort, scans, embedded)
            write_parquet(self.folder.path / "embeddings.parquet", embeddings)
            write_predictor(self.folder, self.spec, self._data, self._pretraining, progression)
        if self.spec.config.progression.shuffle_labels and not self.spec.config.progression.finetune_epochs:
            write_parquet(self.folder.path / "permutations.parquet", self._permuted(pairs, embedded))
        metrics = progression_metrics(true_classes(progression.config, pairs), probabilities, decided)
        write_json(self.folder.path / "metrics.json", metrics)

    def _permuted(self, tested: pd.DataFrame, embedded: Embedded) -> pd.DataFrame:
        patients, progression = self.spec.patients, self.spec.config.progression
        fitted, scans = (
            self._data.pairs(patients.classifier),
            self._data.of((*patients.classifier, *patients.test)),
        )
        return permuted_counts(progression, self._data.cohort.pairs(), fitted, tested, scans, embedded)

    def _predict_with_earlier_score(
        self, pairs: pd.DataFrame, scans: pd.DataFrame, embedded: Embedded, progression: Progression
    ) -> None:
        patients = self.spec.patients
        trained = patients.trained
        both = WithEarlierScore.fit(
            progression,
            self._fitted_pairs(),
            self._data.pairs(trained),
            self._data.of(trained),
            embedded,
            self.spec.config.seed,
        )
        probabilities = both.predict(pairs, scans, embedded)
        decided = both.decide(probabilities)
        table = pair_table(self._data.cohort, pairs, scans, probabilities, decided, embedded)
        for name, weight in zip(WEIGHTS, both.weights, strict=True):
            table[name] = weight
        write_parquet(self.folder.path / WITH_EARLIER_SCORE, table)

    def end(self, state: State, reason: str = "") -> None:
        """Writes how the run ended and drops the checkpoint that only a restart needs."""
        if not self.world.is_first:
            return
        self.folder.publish()
        self.folder.finish(state, reason)


def _json_line(row: dict[str, Any]) -> str:
    return (
        json.dumps({k: None if isinstance(v, float) and math.isnan(v) else v for k, v in row.items()}) + "\n"
    )

"""How fast this machine trains, by training a little."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch

from learner_ray.study.forecast import Pace
from learner_ray.study.runs import RunFolder, RunSpec
from learner_ray.training.data import open_data
from learner_ray.training.run import TrainingRun


def measure_pace(spec: RunSpec) -> Pace:
    """Runs two epochs of a trial that pretrains and validates, and times the second."""
    data = open_data(spec.source, spec.config.data.image_size)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with tempfile.TemporaryDirectory() as folder:
        run = TrainingRun(spec, RunFolder(Path(folder)), device)
        row = run.advance()
        row = (run.advance() if spec.config.train.epochs > 1 else None) or row
    assert row is not None, "a new run has an epoch before it"
    embedded = (*spec.patients.classifier, *spec.patients.validation)
    return Pace(
        train_per_scan=row["seconds/train"] / len(data.of(spec.patients.pretrain)),
        evaluate_per_scan=row["seconds/evaluate"] / len(data.of(embedded)),
    )

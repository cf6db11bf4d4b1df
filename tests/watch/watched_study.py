"""A small study's results folder, with the run log and the runs' own files."""

from __future__ import annotations

import json
from pathlib import Path

from learner_ray.core.files import write_json
from learner_ray.study.run_log import RunLog
from learner_ray.study.runner import StudyRunner
from learner_ray.study.study_json import study_hash
from tests.study.small_study import run, runner

RUNS = 32
"""Two arms and two folds, each with six trials and two final runs."""


def begin(out: Path, **kwargs: object) -> StudyRunner:
    """The study's runner, which logs its runs; ``study.json`` is written."""
    out.mkdir(parents=True, exist_ok=True)
    keys = ("study", "cohort_hash", "split_hash", "trials", "folds", "repeats", "seeds", "space")
    study = dict.fromkeys(keys, 1) | {"study": "lus", "cohort": {"phantom": True}}
    study |= {"selection_metric": "kappa on inner validation pairs"}
    study["arms"] = [{"name": n, "label": n.title(), "control": False} for n in ("mse", "contrastive")]
    write_json(out / "study.json", study | {"hash": study_hash(study)})
    return runner(out.parent, callbacks=[RunLog(out, price_per_hour=3.0)], **kwargs)


def watched_study(out: Path, at_most: int = 10**6) -> StudyRunner:
    """A study of which so many runs have begun; the last one of them is under way if others are left."""
    study = begin(out)
    run(study, at_most=at_most, finish_last=at_most >= RUNS)
    return study


def fail(study: StudyRunner, reason: str) -> None:
    """Lets the next run fail."""
    planned = study.next_run()
    assert planned is not None
    folder = study.store.folder(planned.spec.hash)
    folder.write_spec(planned.spec)
    (folder.path / "progress.jsonl").write_text(
        json.dumps({"epoch": 1, "seconds/train": 1, "seconds/evaluate": 0})
    )
    folder.finish("failed", reason)
    study.ended(planned)

"""Which host trains which run of a sweep, and how far it is."""

from __future__ import annotations

import json


def holder(run):
    """The host that trains a run, or has ended it; empty where none has yet."""
    lock = run / ".lock"
    return (lock.read_text().split() or [""])[0] if lock.exists() else ""


def progress(run):
    path = run / "progress.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def in_training(results, host):
    """A run that the host is training and has finished an epoch of."""
    runs = [run for run in (results / "runs").glob("*") if holder(run) == host]
    return next((run for run in runs if progress(run) and not (run / "state.json").exists()), None)

"""What repeats a sweep that was started from Python, for its ``study.json``."""

from __future__ import annotations

import shlex
from dataclasses import fields
from pathlib import Path

from learner_ray.study.options import SweepOptions, arguments_of
from learner_ray.study.study import Study
from learner_ray.study.study_file import load_study, study_names


def equivalent_command(
    study: str | Path | Study, data: str | Path | None, out: str | Path | None, options: SweepOptions
) -> str:
    """The command line that does what an experiment does; for a study that no command can name, the Python
    call."""
    if isinstance(study, Study):
        named = study.file or study.name
        if not (study.file or named in study_names()) or load_study(named) != study:
            return _call(study, data, out, options)
        study = named
    words = ["learner-ray", "sweep", str(study)]
    for option, place in (("--data", data), ("--out", out)):
        words += [] if place is None else [option, str(place)]
    return shlex.join([*words, *arguments_of(options)])


def _call(study: Study, data: str | Path | None, out: str | Path | None, options: SweepOptions) -> str:
    given = [
        f"{option.name}={value!r}"
        for option in fields(options)
        if (value := getattr(options, option.name)) != getattr(SweepOptions(), option.name)
    ]
    places = [f"{name}={str(place)!r}" for name, place in (("data", data), ("out", out)) if place is not None]
    options_text = [f"options=SweepOptions({', '.join(given)})"] if given else []
    return f"Experiment({', '.join([f'<Study {study.name}>', *places, *options_text])}).run()"

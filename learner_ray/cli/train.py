"""Trains one run again, without Ray, and says whether the numbers are the recorded ones."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from learner_ray.cli.command import add_study_file, answer, make_parser
from learner_ray.core.errors import StorageError, UserError
from learner_ray.core.files import storage_fault
from learner_ray.core.modes import stay_closed_to_others
from learner_ray.core.numerics import refuse_other
from learner_ray.core.paths import refuse_unwritable
from learner_ray.run.folder import RunFolder
from learner_ray.run.progress import without_clock
from learner_ray.run.user_code import with_named_file


def main(arguments: Sequence[str] | None = None, *, prog: str = "python -m learner_ray.train") -> int:
    """Carries out the command.

    Args:
        arguments: its arguments; without them, those of this process.
        prog: what was typed before them.

    Returns:
        0 when the numbers are the recorded ones, 1 when they are not or could not be had, 2 for a mistake.
    """
    return answer(lambda: _repeat(arguments, prog))


def _repeat(arguments: Sequence[str] | None, prog: str) -> int:
    parser = make_parser(prog, __doc__)
    parser.add_argument("config", type=Path, help="The config.json of a run, as in results/runs/<hash>/.")
    parser.add_argument("--out", type=Path, help="Keeps the repeated run here. Without it: nowhere.")
    add_study_file(parser)
    args = parser.parse_args(arguments)
    return repeat(args.config, args.out, args.study_file)


def repeat(config: Path, out: Path | None, study_file: Path | None = None) -> int:
    """Trains the run of a configuration file again and compares it with what the file's folder recorded.

    Args:
        config: the ``config.json`` of a run.
        out: the folder that keeps the repeated run; None for a temporary one.
        study_file: the file that the user named for the run's own code; None where none was named.

    Returns:
        0 when the numbers are the recorded ones, else 1.

    Raises:
        UserError: there is no run, or one of other numerics, or with code that nobody named, or ``out`` holds
            one.
        StorageError: the repeated run cannot be written.
    """
    if not config.is_file():
        raise UserError(f"no configuration at {config}: give the config.json of a run")
    recorded = RunFolder(config.parent)
    spec = recorded.read_spec()
    refuse_other(spec.numerics, str(config))
    if not isinstance(spec.threads, int) or spec.threads < 1:
        raise UserError(f"{config}: threads must be a whole number of 1 or more, not {spec.threads!r}")
    differs = recorded.fault(spec.hash)
    if differs:
        print(f"The recorded run is damaged: {differs}", file=sys.stderr)
    if out is not None:
        refuse_unwritable(out)
    spec = replace(spec, source=with_named_file(spec.source, study_file), recorded_hash="")
    # PyTorch is loaded once the run is known to be one.
    from learner_ray.training.run import TrainingRun

    with tempfile.TemporaryDirectory() as temporary:
        again = RunFolder(out or Path(temporary))
        stay_closed_to_others(again.path.parent)
        if again.state is not None:
            raise UserError(f"{again.path} holds a run that has ended: name another folder with --out")
        run = TrainingRun(spec, again)
        epochs = len(recorded.progress()) if (recorded.state or {}).get("state") == "stopped" else 0
        try:
            while (row := run.advance()) is not None:
                print(json.dumps(row), flush=True)
                if row["epoch"] == epochs:
                    run.end("stopped", "as recorded")
                    break
        except RuntimeError as error:  # PyTorch's, where a model cannot be written
            if fault := storage_fault(error, again.path):
                raise StorageError(fault) from error
            raise
        return compare(recorded, again) or int(bool(differs))


def compare(recorded: RunFolder, again: RunFolder) -> int:
    """Prints whether two runs have the same numbers; 0 if so, else 1."""
    if recorded.state is None:
        print("The recorded run has not ended: there is nothing to compare with.")
        return 0
    from learner_ray.training.predictions import WITH_EARLIER_SCORE

    names = ["metrics.json", "predictions.parquet", "scores.parquet"]
    if (recorded.path / WITH_EARLIER_SCORE).exists():  # an older version wrote none
        names.append(WITH_EARLIER_SCORE)
    differing = [name for name in names if _content(recorded.path / name) != _content(again.path / name)]
    before, now = ([without_clock(row) for row in folder.progress()] for folder in (recorded, again))
    if before != now:
        differing.insert(0, "progress.jsonl")
    metrics = again.path / "metrics.json"
    if metrics.exists():
        print(metrics.read_text())
    print(
        f"differs from the record in {', '.join(differing)}"
        if differing
        else "identical to the record, bit for bit"
    )
    return 1 if differing else 0


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None

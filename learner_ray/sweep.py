"""``python -m learner_ray.sweep STUDY``: search each arm, train and test the winners anew, show the table."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
from pathlib import Path

from learner_ray.errors import PlaceError, StorageError, UserError
from learner_ray.options import for_cluster, parser

INTERRUPTED = "\nInterrupted; all finished runs are kept. Go on with:\n  {}"


def main(argv: list[str] | None = None) -> int:
    """The command.

    Returns:
        0 the study is complete; 1 it is unfinished for a fault of the place (data, a node, a device, memory,
        storage), and the same command goes on; 2 a mistake in what was given; 3 all runs have ended, but some
        failed or diverged; 130 or 143 a signal ended it early, and the same command goes on.
    """
    args = parser().parse_args(argv)
    try:
        return sweep(args)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:  # before the first run
        print(INTERRUPTED.format(command()))
        return 128 + signal.SIGINT
    except (PlaceError, OSError) as error:
        from learner_ray.files import storage_fault

        fault = str(error) if isinstance(error, PlaceError) else storage_fault(error, Path.cwd())
        if not fault:
            raise
        storage = not isinstance(error, PlaceError) or isinstance(error, StorageError)
        remedy = "make room, or bring the storage back, and go on" if storage else "once that is mended go on"
        print(f"error: {fault}. All that has ended is kept: {remedy} with:\n  {command()}", file=sys.stderr)
        return 1


def sweep(args: argparse.Namespace) -> int:
    """Checks what was given, then runs it here or sends it to a cluster."""
    # Each import is needed by what follows it alone: a mistake is answered before Ray and PyTorch are loaded.
    if args.cluster is not None:
        from learner_ray.engine.jobs import run_on_cluster
        from learner_ray.inputs import choose_source, choose_study

        study, _, _ = choose_study(args)
        _, results = choose_source(args, study)
        return run_on_cluster(args, for_cluster(sys.argv[1:]), results)
    from learner_ray.inputs import read_inputs

    inputs = read_inputs(args)
    from learner_ray.execution import execute

    code = execute(args, inputs)
    if code > 128:
        print(INTERRUPTED.format(command()))
    return code


def command() -> str:
    """The command as it was typed."""
    return shlex.join(["python", "-m", "learner_ray.sweep", *sys.argv[1:]])


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    sys.exit(main())

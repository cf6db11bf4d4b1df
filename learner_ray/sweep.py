"""``python -m learner_ray.sweep STUDY``: search each arm, train and test the winners anew, show the table."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys

from learner_ray.cli.command import INTERRUPTED, answer
from learner_ray.cli.missing_codes import joined
from learner_ray.cli.options import for_cluster, parser


def main(argv: list[str] | None = None) -> int:
    """The command.

    Returns:
        0 the study is complete; 1 it is unfinished for a fault of the place (data, a node, a device, memory,
        storage), and the same command goes on; 2 a mistake in what was given; 3 all runs have ended, but some
        failed, or a final run diverged; 130, 141 or 143 a signal ended it early, and the same command goes
        on.
    """
    given = joined(sys.argv[1:] if argv is None else argv)
    return answer(lambda: sweep(parser().parse_args(given)), again=command())


def sweep(args: argparse.Namespace) -> int:
    """Checks what was given, then runs it here or sends it to a cluster."""
    # Each import is needed by what follows it alone: a mistake is answered before Ray and PyTorch are loaded.
    if args.cluster is not None:
        from learner_ray.inputs import choose_results

        results = choose_results(args)
        from learner_ray.engine.remote_sweep import run_on_cluster

        return run_on_cluster(
            args.cluster,
            for_cluster(sys.argv[1:]),
            out=results.out,
            stored_at=results.address,
            study_file=args.study if args.study.endswith(".py") else None,
            models=args.with_models,
        )
    from learner_ray.inputs import read_inputs

    inputs = read_inputs(args)
    from learner_ray.engine.head import require_named

    require_named(args.address)
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

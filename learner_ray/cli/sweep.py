"""``learner-ray sweep STUDY``: searches each arm, trains and tests the selected configurations, shows the
table.

``learner-ray plan STUDY`` is the same with ``--plan``.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from learner_ray.cli.command import COMPLETE, SOME_FAILED, answer, show
from learner_ray.cli.live_table import live_table
from learner_ray.cli.missing_codes import joined
from learner_ray.cli.options import for_cluster, options_of, sweep_parser
from learner_ray.core.errors import UserError

MODULE = "python -m learner_ray.sweep"


def main(arguments: Sequence[str] | None = None, *, prog: str = MODULE) -> int:
    """Carries out the command.

    Args:
        arguments: its arguments; without them, those of this process.
        prog: what was typed before them.

    Returns:
        0 if the study is complete; 1 if it is unfinished for a fault of the place (data, a node, a device,
        memory, storage), and the same command goes on; 2 for a mistake in what was given; 3 if all runs have
        ended, but some failed, or a final run diverged; 130, 141 or 143 if a signal ended it early, and the
        same command goes on.
    """
    given = joined(sys.argv[1:] if arguments is None else arguments)
    command = f"{prog} {shlex.join(given)}"
    return answer(lambda: _sweep(sweep_parser(prog).parse_args(given), given, command), again=command)


def _sweep(parsed: argparse.Namespace, given: Sequence[str], command: str) -> int:
    """Checks what was given, then runs it here or sends it to a cluster."""
    if parsed.with_models and parsed.cluster is None:
        raise UserError("--with-models goes with --cluster: here the models stay where they are trained")
    if parsed.watch and parsed.cluster is not None:
        raise UserError("--watch shows a sweep of this machine: with --cluster, type learner-ray watch there")
    options = options_of(parsed)
    from learner_ray.experiment import Experiment

    experiment = Experiment(parsed.study, parsed.data, parsed.out, options, command=command)
    if parsed.cluster is not None:
        from learner_ray.engine.launcher import price_per_hour
        from learner_ray.engine.remote_sweep import run_on_cluster

        price = price_per_hour(parsed.cluster) if options.price_per_hour is None else None
        study_file = parsed.study if parsed.study.endswith(".py") else None
        return run_on_cluster(
            parsed.cluster,
            for_cluster(given),
            out=experiment.out,
            stored_at=experiment.place,
            price_per_hour=price,
            study_file=study_file,
            models=parsed.with_models,
        )
    if parsed.plan:
        show(experiment.plan().costs)
        return COMPLETE
    with live_table() as progress, _watched(experiment.out) if parsed.watch else nullcontext():
        result = experiment.run(progress=progress)
    show(result)
    return COMPLETE if result.complete else SOME_FAILED


def _watched(out: Path) -> AbstractContextManager[None]:
    """The live view, beside the sweep."""
    from learner_ray.watch.beside import watched

    return watched(out, show)

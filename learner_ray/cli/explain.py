"""Draws why a study's best final run predicted the change of a few of its test pairs.

The pictures go below the study, into STUDY/explanations, since they show patients; the report shows them
where they are there, and what `report --share` writes never holds them. Of each class the pair is drawn that
was called right with the greatest certainty, and the one that was called wrong with the greatest certainty,
far errors first.

Green is what speaks for better, orange what speaks for worse: what the place adds to the predicted change
(integrated gradients). It shows what this network looks at, and proves nothing about the disease."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from learner_ray.cli.command import add_study_file, answer, make_parser, show
from learner_ray.core.errors import UserError
from learner_ray.core.modes import closed_to_others
from learner_ray.core.paths import read_json, refuse_unwritable

CHOSEN_BY = "macro_f1"
"""The metric of a run's test pairs by which the best one is found."""


def main(arguments: Sequence[str] | None = None, *, prog: str = "learner-ray explain") -> int:
    """Carries out the command.

    Args:
        arguments: its arguments; without them, those of this process.
        prog: what was typed before them.

    Returns:
        0 when the pictures are written, 1 when a fault of the place prevents it, 2 for a mistake.
    """
    return answer(lambda: _explain(arguments, prog))


def _explain(arguments: Sequence[str] | None, prog: str) -> int:
    parser = make_parser(prog, __doc__)
    parser.add_argument("study", type=Path, help="A study's results folder, such as results/lus.")
    parser.add_argument(
        "--run", metavar="HASH", help="A final run of the study. Without it: the one with the best macro-F1."
    )
    parser.add_argument("--pairs", type=int, default=6, metavar="N", help="Pairs at most (default: 6).")
    add_study_file(parser)
    args = parser.parse_args(arguments)
    if args.pairs < 1:
        raise UserError(f"--pairs {args.pairs}: write a whole number of 1 or more")
    run = _chosen_run(args.study, args.run)
    refuse_unwritable(args.study)
    # PyTorch is loaded once there is a run to explain.
    from learner_ray.training.data import open_data
    from learner_ray.training.explaining import FOLDER, explain
    from learner_ray.training.predictor import Predictor

    predictor = Predictor.load(run, study_file=args.study_file)
    data = open_data(predictor.spec.source, predictor.spec.config.data.pixels)
    print(f"run {run.name}: drawing; each pair takes some seconds", flush=True)
    with closed_to_others(args.study.parent):
        found = explain(predictor, data, args.study / FOLDER, args.pairs)
    for each in found:
        called = f"{each.true}, called {each.predicted} ({each.probability:.2f})"
        show(f"{args.study / FOLDER / each.file}: {called}")
    print(
        "They show patients: keep them below the study. The next report shows them, report --share does not."
    )
    return 0


def _chosen_run(study: Path, asked: str | None) -> Path:
    """The folder of a study's final run with an encoder: the one asked for, or the best.

    Raises:
        UserError: there is no study, or no such run.
    """
    from learner_ray.run.folder import RunStore
    from learner_ray.study.runs_table import read_table
    from learner_ray.study.study_json import read_study

    record = read_study(study / "study.json")
    if record is None or not (study / "ledger.parquet").is_file():
        raise UserError(f"{study} is no study with final runs; give its results folder, such as results/lus")
    ledger = read_table(study / "ledger.parquet").reindex(columns=["run_hash", "distance"])
    # A control without an encoder has no distance between embeddings, nor has a failed run.
    runs = sorted(ledger.loc[ledger["distance"].notna(), "run_hash"].unique())
    store = RunStore(Path(os.path.abspath(study)).parent)
    if asked is not None:
        if asked not in runs:
            raise UserError(
                f"--run {asked} is no final run of {study} with an encoder; its ledger names them"
            )
        return store.folder(asked).path
    scored = {run: _score(store.folder(run).path / "metrics.json") for run in runs}
    if not scored:
        raise UserError(f"{study} has no complete final run with an encoder; there is nothing to explain")
    return store.folder(max(scored, key=scored.__getitem__)).path


def _score(metrics: Path) -> float:
    try:
        return float(read_json(metrics, "the sweep that it belongs to writes it again")[CHOSEN_BY])
    except (FileNotFoundError, KeyError):
        return float("-inf")

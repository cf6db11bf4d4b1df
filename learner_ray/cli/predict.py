"""Applies a final run's encoder, or all final runs of a study's arm, to scans that they have not seen.

Give the scans of one patient in the order of the visits, or those of many patients in a manifest. The table
has one row per scan: the predicted score and, from the second visit on, the probabilities of worse, same and
better since the visit before (the same for all scans of a visit). Embeddings are written beside it, as
float32 in the order of the rows: as text, 512 numbers would make a row that no spreadsheet shows and that is
no longer exact.

With a study's results folder in place of a run, all complete final runs of one arm predict together: mean
and spread of the score, probabilities calibrated on the study's own test pairs, the set of classes that are
not ruled out at --level, and a word on scans that are unlike the cohort's. Beside the table lies a JSON file
that says what it was made of, and no embeddings: those of two runs cannot be averaged (docs/ensemble.md)."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

from learner_ray.cli.command import add_scan_limit, add_study_file, answer, make_parser, show
from learner_ray.core.errors import UserError
from learner_ray.core.files import write_atomic, write_json
from learner_ray.core.paths import refuse_unwritable

LEVEL = 0.9
"""The level of prediction sets, where no other is asked for."""


def main(arguments: Sequence[str] | None = None, *, prog: str = "python -m learner_ray.predict") -> int:
    """Carries out the command.

    Args:
        arguments: its arguments; without them, those of this process.
        prog: what was typed before them.

    Returns:
        0 when the table is written, 1 when a fault of the place prevents it, 2 for a mistake.
    """
    return answer(lambda: _predict(arguments, prog), messages="stderr")  # the table alone goes to stdout


def _predict(arguments: Sequence[str] | None, prog: str) -> int:
    parser = make_parser(prog, __doc__)
    parser.add_argument(
        "run",
        type=Path,
        help="The folder of a complete final run, results/runs/<run_hash>, or of a study: results/lus.",
    )
    parser.add_argument(
        "scans", nargs="*", help="Scans of one patient by visit; files of one scan joined by commas."
    )
    parser.add_argument(
        "--manifest", type=Path, help="Scans of many patients: path, patient, and visit or date."
    )
    parser.add_argument(
        "--out", type=Path, help="CSV to write; embeddings go beside it as .npy. Without it: the screen."
    )
    parser.add_argument(
        "--arm", help="Of a study: the arm whose final runs predict. Needed where several have an encoder."
    )
    parser.add_argument(
        "--level",
        type=_level,
        metavar="SHARE",
        help=f"Of a study: share of true classes that the sets are to hold (default: {LEVEL:g}).",
    )
    parser.add_argument("--skip-bad", action="store_true", help="Leaves out scans that cannot be read.")
    add_scan_limit(parser)
    add_study_file(parser)
    args = parser.parse_args(arguments)
    if bool(args.scans) == bool(args.manifest):
        raise UserError("name scans, or a manifest that lists them with --manifest, and not both")
    if args.out is not None:
        if args.out.suffix != ".csv" or args.out.is_dir():
            raise UserError(f"--out {args.out}: name a file ending in .csv")
        refuse_unwritable(args.out.parent)
    if not args.run.is_dir():
        raise UserError(f"no run at {args.run}: give the folder of a final run, results/runs/<run_hash>")
    if (args.run / "study.json").is_file():
        predict_with_study(args)
        return 0
    if args.arm is not None or args.level is not None:
        raise UserError("--arm and --level are of a study: give its results folder, such as results/lus")
    carry_out(args)
    return 0


def _level(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"must be a share between 0 and 1, such as 0.9, not {text}")
    return value


def predict_with_study(args: argparse.Namespace) -> None:
    """Predicts with all final runs of a study's arm. PyTorch is loaded once the arm is known."""
    from learner_ray.study.ensemble import arm_ensemble, ensemble_table, record

    level = LEVEL if args.level is None else args.level
    of = arm_ensemble(args.run, args.arm)
    for line in of.describe(level):
        show(line, "stderr")

    import torch

    from learner_ray.training.ensemble import predict_with_all
    from learner_ray.training.prediction import as_csv, given, listed, predicted_with

    device = "cuda" if torch.cuda.is_available() else "cpu"
    scans = given(args.scans) if args.scans else listed(args.manifest, of.modality)
    found = predict_with_all(
        of.folders, scans, device, args.study_file, skip_bad=args.skip_bad, most_gb=args.max_scan_gb
    )
    table = ensemble_table(of, found, level, predicted_with())
    if args.out is None:
        print(as_csv(table), end="")
        return
    beside = args.out.with_suffix(".json")
    write_json(beside, record(of, level))
    write_atomic(args.out, as_csv(table))
    show(f"{args.out}: {len(table)} scans; what they were made of in {beside}")


def carry_out(args: argparse.Namespace) -> None:
    """Predicts for the scans that the command line names. PyTorch is loaded here: no mistake waits for it."""
    import torch

    from learner_ray.training.prediction import as_csv, given, listed, predict, write
    from learner_ray.training.predictor import Predictor

    device = "cuda" if torch.cuda.is_available() else "cpu"
    predictor = Predictor.load(args.run, device, args.study_file)
    scans = given(args.scans) if args.scans else listed(args.manifest, predictor.modality)
    table, embeddings = predict(predictor, scans, skip_bad=args.skip_bad, most_gb=args.max_scan_gb)
    if args.out is None:
        print(as_csv(table), end="")
    else:
        write(table, embeddings, args.out)
        print(f"{args.out}: {len(table)} scans; their embeddings in {args.out.with_suffix('.npy')}")

"""``python -m learner_ray.predict RUN SCAN ...``: a final run's encoder on scans it has not seen.

The scans of one patient, in the order of the visits, or those of many in a manifest. The table has one row
per scan: predicted score, and from the second visit on the probabilities of worse, same and better since the
visit before (the same for all scans of a visit). Embeddings are written beside it, as float32 in the order of
the rows: as text, hundreds of numbers would make a row that no spreadsheet shows and that is no longer exact.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from learner_ray.cli.command import answer
from learner_ray.core.errors import UserError
from learner_ray.core.paths import refuse_unwritable


def main(argv: list[str] | None = None) -> int:
    """The command; 0 when the table is written, 1 when a fault of the place prevents it, 2 for a mistake."""
    return answer(lambda: _predict(argv))


def _predict(argv: list[str] | None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m learner_ray.predict",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", type=Path, help="folder of a complete final run, results/runs/<run_hash>")
    parser.add_argument(
        "scans", nargs="*", help="scans of one patient by visit; files of one scan joined by commas"
    )
    parser.add_argument(
        "--manifest", type=Path, help="scans of many patients: path, patient, and visit or date"
    )
    parser.add_argument(
        "--out", type=Path, help="CSV to write; embeddings go beside it as .npy (default: print)"
    )
    parser.add_argument("--skip-bad", action="store_true", help="go on without scans that cannot be read")
    args = parser.parse_args(argv)
    if bool(args.scans) == bool(args.manifest):
        raise UserError("give scans, or a --manifest of them")
    if args.out is not None:
        if args.out.suffix != ".csv" or args.out.is_dir():
            raise UserError(f"--out {args.out}: name a file ending in .csv")
        refuse_unwritable(args.out.parent)
    if not args.run.is_dir():
        raise UserError(f"no run at {args.run}: give the folder of a final run, results/runs/<run_hash>")
    carry_out(args)
    return 0


def carry_out(args: argparse.Namespace) -> None:
    """Predicts what the command line names. PyTorch is loaded here: no mistake waits for it."""
    from learner_ray.training.prediction import given, listed, predict, write
    from learner_ray.training.predictor import Predictor
    from learner_ray.training.process import training_device

    predictor = Predictor.load(args.run, training_device())
    scans = given(args.scans) if args.scans else listed(args.manifest, predictor)
    table, embeddings = predict(predictor, scans, skip_bad=args.skip_bad)
    if args.out is None:
        print(table.to_csv(index=False), end="")
    else:
        write(table, embeddings, args.out)


if __name__ == "__main__":
    sys.exit(main())

"""Writes a final run's encoder in a form that runs without this package.

Beside the network lies a JSON file: what its input is made of, what its outputs are, and the classifier that
reads worse, same and better off two embeddings. The file is run once and compared with the run itself."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from learner_ray.cli.command import add_study_file, answer, make_parser
from learner_ray.core.errors import UserError
from learner_ray.core.paths import refuse_unwritable

FORMS = ("onnx", "torchscript")


def main(arguments: Sequence[str] | None = None, *, prog: str = "learner-ray export") -> int:
    """Carries out the command.

    Args:
        arguments: its arguments; without them, those of this process.
        prog: what was typed before them.

    Returns:
        0 when the file is written and computes the same, 1 when a fault of the place prevents it, 2 for a
        mistake.
    """
    return answer(lambda: _export(arguments, prog))


def _export(arguments: Sequence[str] | None, prog: str) -> int:
    parser = make_parser(prog, __doc__)
    parser.add_argument("run", type=Path, help="The folder of a complete final run, results/runs/<run_hash>.")
    parser.add_argument("--to", choices=FORMS, required=True, help="The form of the file.")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="Default: encoder.onnx or encoder.torchscript.pt."
    )
    add_study_file(parser)
    args = parser.parse_args(arguments)
    if not args.run.is_dir():
        raise UserError(f"no run at {args.run}: give the folder of a final run, results/runs/<run_hash>")
    _carry_out(args)
    return 0


def _carry_out(args: argparse.Namespace) -> None:
    """Writes and checks the files. PyTorch is loaded here: no mistake waits for it."""
    from learner_ray.training.export import description_path, export, form_named
    from learner_ray.training.predictor import Predictor

    form = form_named(args.to)
    out = args.out or Path(f"encoder{form.suffix}")
    described = description_path(out, form)
    if not out.name.endswith(form.suffix):
        raise UserError(f"--out {out}: name a file ending in {form.suffix}")
    for path in (out, described):
        if path.exists():
            raise UserError(f"{path} exists: name another file in --out")
    refuse_unwritable(out.parent)
    found = export(Predictor.load(args.run, study_file=args.study_file), form, out)
    differences = ", ".join(f"{name} {value:.0e}" for name, value in found.items())
    print(f"{out}, described in {described}")
    print(f"differs from the run by at most, relative to the largest number: {differences}")

"""Checks a cohort by the very gate that a sweep uses, or the files of a results folder.

learner-ray check PATH          what is found at a path, what is wrong with it, class counts
learner-ray check --files DIR   whether results are still the files that were written; encoders are read, too
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from learner_ray.cli.cohort import add_check_options, check
from learner_ray.cli.command import answer, make_parser, show
from learner_ray.cli.missing_codes import joined
from learner_ray.core.errors import UserError


def main(arguments: Sequence[str] | None = None, *, prog: str = "python -m learner_ray.check") -> int:
    """Carries out the command.

    Args:
        arguments: its arguments; without them, those of this process.
        prog: what was typed before them.

    Returns:
        0 where all is whole, 1 where a file of the results is not, or for a fault of the place, 2 for a
        mistake in the cohort or the command line.
    """
    return answer(lambda: _check(arguments, prog))


def _check(arguments: Sequence[str] | None, prog: str) -> int:
    parser = make_parser(prog, __doc__)
    parser.add_argument("path", nargs="?", help="Manifest (.csv, .tsv) or data folder.")
    parser.add_argument(
        "--files",
        metavar="DIR",
        help="A study's results folder, such as results/lus, with the runs that its tables name; or results, "
        "with all runs; or the URL of either.",
    )
    add_check_options(parser)
    args = parser.parse_args(joined(sys.argv[1:] if arguments is None else arguments))
    if (args.path is None) == (args.files is None):
        raise UserError("name a cohort (PATH), or a results folder with --files, and not both")
    if args.files is not None:
        from learner_ray.cli.files import check_files

        return check_files(args.files)
    show(check(args))
    return 0

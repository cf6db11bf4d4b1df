"""Shows a study as a page that follows it while it runs: progress, learning curves, failures, time left.

The page is served to this machine alone, at an address that is printed. The results folder is read, and
nothing is written there. To watch a study on another machine, such as a cluster's head, type the command with
--port 8765 there, `ssh -L 8765:127.0.0.1:8765 HOST` here, and open the address.

It names no patient and shows no scan. What it calls the best so far is no result."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from learner_ray.cli.command import COMPLETE, answer, make_parser, show
from learner_ray.core.errors import UserError
from learner_ray.core.files import write_atomic
from learner_ray.core.paths import refuse_unwritable


def main(arguments: Sequence[str] | None = None, *, prog: str = "learner-ray watch") -> int:
    """Carries out the command.

    Args:
        arguments: its arguments; without them, those of this process.
        prog: what was typed before them.

    Returns:
        0 when the page is written or was watched to its end by Ctrl-C, 1 when a fault of the place prevents
        it, 2 for a mistake.
    """
    return answer(lambda: _watch(arguments, prog))


def _watch(arguments: Sequence[str] | None, prog: str) -> int:
    parser = make_parser(prog, __doc__)
    parser.add_argument("study", type=Path, help="A study's results folder, such as results/lus.")
    parser.add_argument(
        "--port", type=int, default=0, metavar="N", help="Port to listen on (default: a free one)."
    )
    parser.add_argument(
        "--once", action="store_true", help="Writes the page as it is now to --out, and ends."
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="With --once: the page to write.")
    args = parser.parse_args(arguments)
    if args.once != (args.out is not None):
        raise UserError("--once and --out FILE go together: the page as it is now is written to FILE")
    _require_study(args.study)
    # The page's engine is loaded once there is something to show.
    from learner_ray.watch.look import StudyWatch

    if args.once:
        from learner_ray.watch.page import render

        refuse_unwritable(args.out.parent)
        named = args.study.name if args.study.is_absolute() else str(args.study)  # it may be mailed
        write_atomic(args.out, render(StudyWatch(args.study, named).look(), refresh_s=None))
        show(f"{args.out} written")
        return COMPLETE
    from learner_ray.watch.server import WatchServer

    with (
        suppress(KeyboardInterrupt),
        WatchServer(StudyWatch(args.study, str(args.study)), args.port) as server,
    ):
        show(f"{args.study} is shown at {server.address}\nCtrl-C ends it; the study is not touched.")
        server.serve_forever()
    return COMPLETE


def _require_study(folder: Path) -> None:
    """Refuses a folder in which there is nothing to see.

    Raises:
        UserError: there is no study, or none that is followed.
    """
    from learner_ray.core.locks import held_by
    from learner_ray.study.study_json import RUN_LOG, read_study

    if (folder / RUN_LOG).exists() or held_by(folder / ".lock").here:
        return
    if read_study(folder / "study.json") is None:
        raise UserError(f"{folder} holds no study: name the results folder of a sweep, such as results/lus")
    raise UserError(
        f"{folder} has no {RUN_LOG}, which sweeps of older versions did not write: its own command again "
        "writes it, and repeats no run"
    )

"""``python -m learner_ray.cli.archive OUT ARCHIVE [--models]`` packs a study to be brought home from a
cluster.

It runs on the cluster's head; ``learner-ray sweep --cluster`` calls it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from learner_ray.cli.command import answer, make_parser, run_from_shell


def main(arguments: Sequence[str] | None = None) -> int:
    """Carries out the command: 0 when the archive is written, 2 where there is no study."""
    return answer(lambda: _pack(arguments))


def _pack(arguments: Sequence[str] | None) -> int:
    parser = make_parser("python -m learner_ray.cli.archive", __doc__)
    parser.add_argument("out", type=Path, help="The results folder of the study.")
    parser.add_argument("archive", type=Path, help="The archive to write (.tar.gz).")
    parser.add_argument("--models", action="store_true", help="Packs encoders and checkpoints, too.")
    args = parser.parse_args(arguments)
    from learner_ray.study.archive import pack

    pack(args.out, args.archive, models=args.models)
    return 0


if __name__ == "__main__":
    run_from_shell(main)

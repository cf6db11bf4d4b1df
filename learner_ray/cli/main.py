"""``learner-ray VERB ...``: all commands under one name."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from learner_ray.cli.command import MISTAKE, answer, make_parser, run_from_shell

Main = Callable[[Sequence[str]], int]


def _sweep(arguments: Sequence[str]) -> int:
    from learner_ray.cli.sweep import main

    return main(arguments, prog="learner-ray sweep")


def _plan(arguments: Sequence[str]) -> int:
    from learner_ray.cli.sweep import main

    return main([*arguments, "--plan"], prog="learner-ray sweep")


def _check(arguments: Sequence[str]) -> int:
    from learner_ray.cli.check import main

    return main(arguments, prog="learner-ray check")


def _import(arguments: Sequence[str]) -> int:
    from learner_ray.cli.import_cohort import main

    return main(arguments)


def _draft(arguments: Sequence[str]) -> int:
    from learner_ray.cli.cohort import draft_main

    return draft_main(arguments, prog="learner-ray draft")


def _train(arguments: Sequence[str]) -> int:
    from learner_ray.cli.train import main

    return main(arguments, prog="learner-ray train")


def _predict(arguments: Sequence[str]) -> int:
    from learner_ray.cli.predict import main

    return main(arguments, prog="learner-ray predict")


def _explain(arguments: Sequence[str]) -> int:
    from learner_ray.cli.explain import main

    return main(arguments)


def _export(arguments: Sequence[str]) -> int:
    from learner_ray.cli.export import main

    return main(arguments)


def _report(arguments: Sequence[str]) -> int:
    from analysis.report import main

    return main(arguments)


def _watch(arguments: Sequence[str]) -> int:
    from learner_ray.cli.watch import main

    return main(arguments)


def _cache(arguments: Sequence[str]) -> int:
    from learner_ray.cli.cache import main

    return main(arguments)


VERBS: dict[str, tuple[Main, str]] = {
    "sweep": (_sweep, "search each arm, train and test the selected configurations, show the table"),
    "plan": (_plan, "print runs, hours and the minimum detectable difference of a sweep; run nothing"),
    "check": (_check, "check a cohort before a sweep, or the files of a results folder"),
    "import": (_import, "make a manifest of a data set: BIDS, CAPS, ADNI, OASIS, DICOM, a table"),
    "draft": (_draft, "begin a manifest: list the scans of a folder"),
    "watch": (_watch, "show a study as a page that follows it while it runs"),
    "train": (_train, "train one run again, and compare the numbers"),
    "predict": (_predict, "apply a final run, or all final runs of an arm, to new scans"),
    "explain": (_explain, "draw why a final run predicted the change of a few test pairs"),
    "export": (_export, "write a final run's encoder as ONNX or TorchScript"),
    "report": (_report, "make tables, figures and a page of results folders"),
    "cache": (_cache, "list or clear what is kept on this machine"),
}
"""Verb to its command and what it does. Each loads its own modules when it is called."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Carries out the verb that the first argument names; its exit code, or 2 where there is no such verb."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given and given[0] in VERBS:
        return VERBS[given[0]][0](given[1:])

    def ask() -> int:
        width = max(map(len, VERBS))
        listed = "\n".join(f"  {verb:{width}}  {does}" for verb, (_, does) in VERBS.items())
        parser = make_parser(
            "learner-ray", "Hyperparameter and ablation studies for longitudinal medical imaging."
        )
        parser.epilog = f"verbs (learner-ray VERB --help says more):\n{listed}"
        parser.add_argument("verb", metavar="VERB", choices=tuple(VERBS), help="What to do, of those below.")
        parser.parse_args(given)
        return MISTAKE

    return answer(ask)


def command() -> None:
    """The console command ``learner-ray``."""
    run_from_shell(main)


def sweep_command() -> None:
    """The console command ``learner-ray-sweep``, an older spelling of ``learner-ray sweep``."""
    from learner_ray.cli.sweep import main as sweep

    run_from_shell(sweep)


if __name__ == "__main__":
    command()

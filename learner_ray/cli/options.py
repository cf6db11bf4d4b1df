"""The options of ``learner-ray sweep``, generated from the fields of :class:`SweepOptions`.

By argparse and not tyro: with tyro 1.0 the import costs 0.12 s more, half of what ``--help`` takes; a mistake
is answered by a box of a dozen lines that names the type ``{None}|INT``; and ``--set A=1 --set B=2`` is
refused."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any, get_type_hints

from learner_ray.cli.command import make_parser
from learner_ray.core.config import all_keys, field_meanings
from learner_ray.core.errors import UserError
from learner_ray.study.options import SweepOptions, flag
from learner_ray.study.study_file import study_names

WIDTH = 100
"""Columns of the list of keys."""


def sweep_parser(prog: str) -> argparse.ArgumentParser:
    """The parser of the command; the values of its options are checked where they are used."""
    p = make_parser(prog, "Search each arm, train and test the selected configurations, show the table.")
    p.usage, p.epilog = f"{prog} STUDY [options]", keys_help()
    p.add_argument("study", help=f"{', '.join(study_names())}, or the path of a study file (.py)")
    p.add_argument(
        "--data",
        metavar="PATH",
        help="Manifest or data folder, or its URL. Without it: the modality's phantom cohort.",
    )
    p.add_argument(
        "--out",
        metavar="DIR",
        help="Results folder, or s3://BUCKET/FOLDER. Without it: results/STUDY, or results/STUDY-phantom.",
    )
    add_options(p)
    _add_laptops_own(p)
    p.add_argument(
        "--watch",
        action="store_true",
        help="Serves the live view while the study runs, on this machine alone, and prints its address.",
    )
    p.add_argument("--plan", action="store_true", help="Prints what would run, and runs nothing.")
    return p


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds an option for each field of :class:`SweepOptions`, with the text below the field as its help."""
    types, meanings = get_type_hints(SweepOptions), field_meanings(SweepOptions)
    for option in fields(SweepOptions):
        parser.add_argument(
            flag(option.name),
            help=(meanings.get(option.name, "") + _default_text(option)).replace("%", "%%"),
            **_arguments(option, types[option.name]),
        )
    parser.add_argument("--scheduler", dest="pruner", help=argparse.SUPPRESS)  # its name in version 0.1


def options_of(parsed: argparse.Namespace) -> SweepOptions:
    """The options of a parsed command line.

    Raises:
        UserError: a value is out of its range, or two options contradict each other.
    """
    values = {option.name: getattr(parsed, option.name) for option in fields(SweepOptions)}
    values["set"] = key_values(values["set"])
    values["factor"] = parse_factors(values["factor"])
    return SweepOptions(**values)


def _arguments(option: Field[Any], kind: Any) -> dict[str, Any]:
    """What ``add_argument`` is told of a field."""
    if kind is bool:
        return {"action": "store_true"}
    shown = {"metavar": option.metadata.get("metavar"), "choices": option.metadata.get("choices")}
    if option.default is MISSING:  # a mapping
        return {"action": "append", "default": [], "metavar": shown["metavar"]}
    parse = _parser_of(kind)
    return {"default": option.default, "type": parse, **{k: v for k, v in shown.items() if v}}


def _parser_of(kind: Any) -> Callable[[str], Any]:
    if kind in (int, int | None):
        return _whole
    if kind in (float, float | None):
        return _number
    return _names if kind in (tuple[str, ...], tuple[str, ...] | None) else str


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from error


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from error


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


def _default_text(option: Field[Any]) -> str:
    default = option.default
    if default in (None, False, (), MISSING):
        return ""
    return f" (default: {default:g})" if isinstance(default, float) else f" (default: {default})"


def key_values(texts: Sequence[str]) -> dict[str, str]:
    """The keys and values of ``--set``.

    Raises:
        UserError: a text is not of this form.
    """
    pairs = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise UserError(f"--set {text}: write KEY=VALUE, as in --set train.lr=0.001")
        pairs[key] = value
    return pairs


def parse_factors(texts: Sequence[str]) -> Mapping[str, tuple[str, str]]:
    """The keys of ``--factor KEY=LOW,HIGH``, each with its two levels.

    Raises:
        UserError: a text is not of this form.
    """
    factors = {}
    for text in texts:
        key, _, values = text.partition("=")
        levels = values.split(",")
        if len(levels) != 2 or not all(levels):
            raise UserError(f"--factor {text}: write KEY=LOW,HIGH, as in --factor loss.margin=0.1,0.4")
        factors[key] = (levels[0], levels[1])
    return factors


def keys_help() -> str:
    """All configuration keys with their meaning, for ``--set`` and for search spaces."""
    lines = ["configuration keys, for --set, --factor, arms and search spaces:"]
    for name, key in all_keys().items():
        if name == "seed":  # every run has its own
            continue
        owners = f" Only of {', '.join(key.components)}." if key.components else ""
        text = f"{key.meaning}{owners}"
        lines += [f"  {name}", *textwrap.wrap(text, WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6)]
    return "\n".join(lines)


def _add_laptops_own(p: argparse.ArgumentParser) -> None:
    """Adds the options that concern the laptop alone, where a sweep is sent to a cluster."""
    p.add_argument(
        "--cluster",
        type=Path,
        metavar="FILE",
        help="Runs the study on this cluster, brought up by `ray up`, and brings its results home.",
    )
    p.add_argument("--with-models", action="store_true", help="With --cluster: brings encoders home, too.")


def for_cluster(arguments: Sequence[str]) -> tuple[str, ...]:
    """A command line without the options that concern the laptop alone."""
    own = argparse.ArgumentParser(add_help=False)
    _add_laptops_own(own)
    return tuple(own.parse_known_args(arguments)[1])

"""Parts of pages that are made of the code when the site is built: options, configuration keys, modules."""

from __future__ import annotations

import argparse
import ast
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from unittest.mock import patch

from learner_ray.cli.main import VERBS
from learner_ray.core.config import Key, all_keys

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("learner_ray", "search_spaces", "analysis", "cluster")


def options() -> str:
    """A table of the arguments of every verb, read from the verb's own parser."""
    parts = []
    for verb, (_, does) in VERBS.items():
        if verb == "plan":  # sweep with --plan
            continue
        for parser in parsers(verb):
            title = parser.prog if parser.prog.startswith("learner-ray") else f"learner-ray {verb}"
            says = does if title == f"learner-ray {verb}" else (parser.description or "")
            head = f"## {title}\n\n{says[:1].upper()}{says[1:]}.\n\n| option | meaning |\n|---|---|\n"
            parts.append(head + "\n".join(rows(parser)))
    return "\n\n".join(parts)


def parsers(verb: str) -> Iterator[argparse.ArgumentParser]:
    """The parser of a verb, and those of the commands below it."""
    found: list[argparse.ArgumentParser] = []
    with (
        patch.object(argparse.ArgumentParser, "print_help", lambda parser, file=None: found.append(parser)),
        suppress(SystemExit),
    ):
        VERBS[verb][0](["--help"])
    for parser in found:
        below = [a.choices for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
        yield from ([parser] if not below else [p for each in below for p in each.values()])


def rows(parser: argparse.ArgumentParser) -> Iterator[str]:
    """A row for each argument: how it is written, and what it means."""
    for action in parser._actions:
        if action.help == argparse.SUPPRESS or isinstance(action, argparse._HelpAction):
            continue
        value = "" if action.nargs == 0 else str(action.metavar or named_value(action))
        written = f"{action.option_strings[-1]} {value}".strip() if action.option_strings else value
        says = parser._get_formatter()._expand_help(action) if action.help else ""
        yield f"| `{cell(written)}` | {cell(says)} |"


def named_value(action: argparse.Action) -> str:
    """What stands for the value of an argument in its usage."""
    return "\\|".join(map(str, action.choices)) if action.choices else action.dest.upper()


def keys() -> str:
    """A table of the configuration keys of each section."""
    sections: dict[str, list[str]] = {}
    for name, key in all_keys().items():
        if name != "seed":  # every run has its own
            row = f"| `{name}` | {cell(key.meaning)} | {default(key)} | {only_of(key)} |"
            sections.setdefault(name.partition(".")[0], []).append(row)
    head = "| key | meaning | default | only of |\n|---|---|---|---|\n"
    return "\n\n".join(f"## {name}\n\n{head}" + "\n".join(rows) for name, rows in sections.items())


def default(key: Key) -> str:
    """The defaults of a key; several where components differ in it."""
    shown = sorted({str(value) if value != "" else "(empty)" for value in key.defaults})
    return ", ".join(f"`{cell(value)}`" for value in shown)


def only_of(key: Key) -> str:
    """The losses or encoders that have a key, where not all have."""
    return ", ".join(f"`{name}`" for name in key.components)


def cell(text: str) -> str:
    """Text as it can stand in a cell of a table."""
    return re.sub(r"(?<!\\)\|", r"\\|", " ".join(text.split())).replace("<", "&lt;")


def modules() -> list[str]:
    """All public modules by name."""
    files = (
        path.relative_to(ROOT).with_suffix("") for name in PACKAGES for path in (ROOT / name).rglob("*.py")
    )
    names = {".".join(file.parts).removesuffix(".__init__") for file in files}
    return sorted(name for name in names if "._" not in name)


def module_tables() -> str:
    """For each package a table of its modules, each with the first sentence of its docstring."""
    parts: dict[str, list[str]] = {}
    for name in modules():
        top, *below = name.split(".")
        package = f"{top}.{below[0]}" if below and (ROOT / top / below[0]).is_dir() else top
        parts.setdefault(package, []).append(f"| [`{name}`](api/{name}.md) | {cell(first_sentence(name))} |")
    return "\n\n".join(f"### {name}\n\n| | |\n|---|---|\n" + "\n".join(rows) for name, rows in parts.items())


def first_sentence(module: str) -> str:
    """The first sentence of a module's docstring."""
    path = ROOT / module.replace(".", "/")
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    text = " ".join((ast.get_docstring(ast.parse(file.read_text())) or "").split("\n\n")[0].split())
    return re.split(r"(?<=\.)\s", text.replace("``", "`"))[0]


PARTS: dict[str, Callable[[], str]] = {"options": options, "keys": keys, "modules": module_tables}
"""What ``<!-- generated: NAME -->`` in a page stands for."""

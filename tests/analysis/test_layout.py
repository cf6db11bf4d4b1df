"""The parts of the package stand in one order, and only the command prints."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "analysis"
PARTS = ("results", "statistics", "tables", "figures", "page", "building", "sharing", "report")
"""Each may import itself and those before it."""
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def imported(tree):
    """Every module that a file imports, wherever in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_part_imports_only_those_before_it_and_nothing_of_learner_ray(path):
    names = [name.split(".") for name in imported(ast.parse(path.read_text()))]
    assert not {name[0] for name in names} & {"learner_ray", "search_spaces", "ray", "torch"}
    part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    assert {name[1] for name in names if name[0] == "analysis"} <= set(PARTS[: PARTS.index(part) + 1])


def test_only_the_command_prints():
    printing = {
        path.name
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Name) and node.id == "print"
    }
    assert printing == {"report.py"}


def test_every_folder_is_a_package():
    assert all((path.parent / "__init__.py").is_file() for path in FILES)

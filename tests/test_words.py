"""Docstrings can be read alone, arrays have shapes, and one word means one thing."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
CODE = ("learner_ray", "analysis", "search_spaces", "cluster")
NOT_YET: tuple[str, ...] = ()
"""Beginnings of paths that are not checked yet."""

RIDDLES = ("hang on", "whatever", "Left to itself", "has run before")
"""Turns that a reader has to guess at."""
BEGINNINGS = ("Of ", "As ", "The same ", "That ", "By whom ", "Whose ")
"""A docstring that begins so continues a sentence which stands elsewhere."""
ARRAYS = re.compile(r"\b(NDArray|Tensor)\b")
SHAPE = re.compile(r"\([A-Za-z0-9_ ,.*+/|-]+,? ?[A-Za-z0-9_ .*+/-]*\)|scalar|shape|0-d")
STATED_BY_TYPE = {"Protocol", "NamedTuple", "TypedDict"}


@dataclass(frozen=True)
class Name:
    """Something public: where it is defined, its docstring and its signature."""

    path: str
    line: int
    name: str
    doc: str | None
    signature: str = ""
    field: bool = False

    def __str__(self) -> str:
        return f"{self.path}:{self.line} {self.name}"


def sources() -> Iterator[tuple[str, ast.Module]]:
    """The parsed files of our packages."""
    for package in CODE:
        for path in sorted((ROOT / package).rglob("*.py")):
            name = str(path.relative_to(ROOT))
            if not name.startswith(NOT_YET or ("//",)):
                yield name, ast.parse(path.read_text())


def public_names() -> list[Name]:
    """Modules, classes, functions, methods, properties, and fields and constants with a text below them."""
    found = []
    for path, tree in sources():
        found.append(Name(path, 1, "the module", ast.get_docstring(tree)))
        found += _below(path, tree, "")
    return found


def _below(path: str, scope: ast.Module | ast.ClassDef, prefix: str) -> Iterator[Name]:
    for node, after in zip(scope.body, [*scope.body[1:], None], strict=True):
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield Name(path, node.lineno, prefix + node.name, ast.get_docstring(node))
            yield from _below(path, node, f"{prefix}{node.name}.")
        elif isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            if any(ast.unparse(d) in ("override", "overload") for d in node.decorator_list):
                continue
            arguments = f"{ast.unparse(node.args)} -> {ast.unparse(node.returns) if node.returns else ''}"
            yield Name(path, node.lineno, prefix + node.name, ast.get_docstring(node), arguments)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            text = after.value if isinstance(after, ast.Expr) else None
            if isinstance(text, ast.Constant) and isinstance(text.value, str):
                target = node.targets[0] if isinstance(node, ast.Assign) else node.target
                kind = ast.unparse(node.annotation) if isinstance(node, ast.AnnAssign) else ""
                yield Name(path, node.lineno, prefix + ast.unparse(target), text.value, kind, field=True)


NAMES = public_names()


def test_every_public_name_has_a_docstring() -> None:
    lacking = [str(name) for name in NAMES if not (name.doc or "").strip()]
    assert not lacking, "\n".join(lacking)


def test_every_docstring_can_be_read_alone() -> None:
    unreadable = [f"{name}: {name.doc}" for name in NAMES if (name.doc or "").startswith(BEGINNINGS)]
    assert not unreadable, "\n".join(unreadable)


def test_arrays_have_their_shape_in_the_docstring() -> None:
    lacking = [
        f"{name}: {name.signature}"
        for name in NAMES
        if ARRAYS.search(name.signature) and name.doc is not None and not SHAPE.search(name.doc)
    ]
    assert not lacking, "\n".join(lacking)

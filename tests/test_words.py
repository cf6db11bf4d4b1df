"""Docstrings can be read alone, arrays have shapes, and one word means one thing."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
CODE = ("learner_ray", "analysis", "search_spaces", "cluster")

RIDDLES = re.compile(
    r"\b(hang on|whatever|whichever|whoever|told|left to itself|has run before|in the main)\b", re.I
)
"""Turns that a reader has to guess at."""
BEGINNINGS = ("Of ", "As ", "The same ", "That ", "By whom ", "Whose ", "It ", "Those ")
"""A docstring that begins so continues a sentence which stands elsewhere."""
ARRAYS = re.compile(r"\b(NDArray|Tensor|Array|FloatArray|Embeddings|Pixels)\b")
SHAPE = re.compile(r"\([^()]*\)|scalar")
"""A shape in brackets, such as (N, 3) or (as given)."""


@dataclass(frozen=True)
class Name:
    """Something public: where it is defined, its docstring and its signature."""

    path: str
    line: int
    name: str
    doc: str | None
    signature: str = ""

    def __str__(self) -> str:
        return f"{self.path}:{self.line} {self.name}"


def sources() -> Iterator[tuple[str, ast.Module]]:
    """The parsed files of our packages."""
    for package in CODE:
        for path in sorted((ROOT / package).rglob("*.py")):
            name = str(path.relative_to(ROOT))
            yield name, ast.parse(path.read_text())


def public_names() -> list[Name]:
    """Modules, classes, functions, methods, properties, and fields and constants with a text below them."""
    found = []
    for path, tree in sources():
        found.append(Name(path, 1, "the module", ast.get_docstring(tree)))
        found += _below(path, tree, "")
    return found


def described_by_bases() -> dict[str, set[str]]:
    """The documented methods of every class, by its name: an override need not repeat it."""
    return {
        node.name: {m.name for m in node.body if isinstance(m, ast.FunctionDef) and ast.get_docstring(m)}
        for _, tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }


def _below(path: str, scope: ast.Module | ast.ClassDef, prefix: str) -> Iterator[Name]:
    bases = [ast.unparse(base) for base in scope.bases] if isinstance(scope, ast.ClassDef) else []
    inherited = {method for base in bases for method in DESCRIBED.get(base, ())}
    for node, after in zip(scope.body, [*scope.body[1:], None], strict=True):
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield Name(path, node.lineno, prefix + node.name, ast.get_docstring(node))
            yield from _below(path, node, f"{prefix}{node.name}.")
        elif isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            if node.name in inherited and not ast.get_docstring(node):
                continue
            arguments = f"{ast.unparse(node.args)} -> {ast.unparse(node.returns) if node.returns else ''}"
            yield Name(path, node.lineno, prefix + node.name, ast.get_docstring(node), arguments)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            text = after.value if isinstance(after, ast.Expr) else None
            if isinstance(text, ast.Constant) and isinstance(text.value, str):
                target = node.targets[0] if isinstance(node, ast.Assign) else node.target
                kind = ast.unparse(node.annotation) if isinstance(node, ast.AnnAssign) else ""
                yield Name(path, node.lineno, prefix + ast.unparse(target), text.value, kind)


DESCRIBED = described_by_bases()
NAMES = public_names()


def test_the_checks_see_functions_methods_and_fields() -> None:
    tree = ast.parse("""
class A:
    x: Tensor
    "Of a scan."
    def f(self): ...
    def _g(self): ...
def h(y: NDArray): "Told."
""")
    found = {name.name: name for name in _below("file", tree, "")}
    assert found.keys() == {"A", "A.x", "A.f", "h"}
    assert found["A.x"].doc == "Of a scan." and found["A.f"].doc is None
    assert ARRAYS.search(found["h"].signature) and RIDDLES.search(found["h"].doc or "")


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


def test_no_docstring_has_a_turn_that_a_reader_must_guess_at() -> None:
    found = [f"{name}: {hit[0]}" for name in NAMES if (hit := RIDDLES.search(name.doc or ""))]
    assert not found, "\n".join(found)


OLD_WORDS = re.compile(r"objectives?\b|judged_by|\bsalt\b|(?<!Pruner)(?<!FIFO)scheduler", re.IGNORECASE)
"""Words that meant two things, or that the field has another word for."""
KEEPERS = (
    "learner_ray/core/old_names.py",
    "learner_ray/run/old_names.py",
    "learner_ray/run/old_study_files.py",
    "analysis/results/old_names.py",
    "docs/analysis.md",
    "docs/log.md",  # what was measured under the old names
    "docs/glossary.md",  # which names them
)
"""Files that speak of the old words on purpose."""
ALLOWED = re.compile(
    r"lr_scheduler|tune\.schedulers|Tune|searcher, scheduler|scheduler=|--scheduler|old|3590708|objectives: "
)
"""Lines about PyTorch's and Ray's own names, or about the old ones."""


def test_a_loss_and_a_selection_score_are_never_called_objective() -> None:
    files = [
        path
        for name in (*CODE, "docs")
        for path in (ROOT / name).rglob("*.*")
        if path.suffix in (".py", ".md")
    ]
    found = []
    for path in files:
        name = str(path.relative_to(ROOT))
        if name.startswith(KEEPERS):
            continue
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            if OLD_WORDS.search(line) and not ALLOWED.search(line):
                found.append(f"{name}:{number} {line.strip()}")
    assert not found, "\n".join(found)

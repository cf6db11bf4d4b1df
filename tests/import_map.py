"""``python -m tests.import_map``: the packages, which imports which, and every circle between them.

The contracts in ``pyproject.toml`` hold the direction of the arrows (``lint-imports``); this draws them.
"""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("learner_ray", "analysis", "search_spaces", "cluster")
DOORS = {"learner_ray.cohort.__main__"}
"""Commands that lie in the package they are named after and import the one above it."""


def modules() -> dict[str, Path]:
    """The file of every module, by its dotted name."""
    found = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def package_of(module: str) -> str:
    """The package that a module lies in, of ``learner_ray`` and ``analysis`` the one below; a module beside
    these packages stands for itself."""
    top, *below = module.split(".")
    divided = top == "learner_ray" or (below and (ROOT / top / below[0]).is_dir())
    return ".".join([top, *below[:1]]) if divided else top


def imports(path: Path, known: Mapping[str, Path]) -> Iterator[str]:
    """The modules of ours that a file imports, at its head or later."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in known else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def arrows() -> Counter[tuple[str, str]]:
    """How many imports lead from one package to another; doors are left out."""
    known, found = modules(), Counter[tuple[str, str]]()
    for module, path in known.items():
        for imported in imports(path, known) if module not in DOORS else ():
            here, there = package_of(module), package_of(imported)
            if imported in known and here != there and there != "learner_ray":
                found[here, there] += 1
    return found


def circles(found: Mapping[tuple[str, str], int]) -> list[set[str]]:
    """Sets of packages that import each other, in however many steps."""
    reached: defaultdict[str, set[str]] = defaultdict(set)
    for here, there in found:
        reached[here].add(there)
    for through in list(reached):
        for here in list(reached):
            if through in reached[here]:
                reached[here] |= reached[through]
    alike = [{a, *(b for b in reached[a] if a in reached[b])} for a in list(reached) if a in reached[a]]
    return [circle for number, circle in enumerate(alike) if circle not in alike[:number]]


def main() -> None:
    """Prints the map."""
    found = arrows()
    for package in sorted({package_of(module) for module in modules()} - {"learner_ray"}):
        counts = sorted((b.removeprefix("learner_ray."), n) for (a, b), n in found.items() if a == package)
        targets = [f"{there} ({count})" for there, count in counts]
        print(f"{package:28} -> {', '.join(targets) or 'nothing'}")
    packages = {end for arrow in found for end in arrow}
    print(f"{len(packages)} packages, {len(found)} arrows, {sum(found.values())} imports")
    print(f"circles: {', '.join(' - '.join(sorted(circle)) for circle in circles(found)) or 'none'}")


if __name__ == "__main__":
    main()

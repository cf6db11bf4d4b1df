"""The engine logs; a command shows it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ENGINE = sorted((Path(__file__).parents[2] / "learner_ray" / "engine").glob("*.py"))


@pytest.mark.parametrize("path", ENGINE, ids=lambda path: path.stem)
def test_the_engine_prints_nothing_itself(path: Path) -> None:
    calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    assert not [call for call in calls if isinstance(call, ast.Name) and call.id == "print"]

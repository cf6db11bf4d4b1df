"""What the packages import is declared, and what is declared is imported."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("learner_ray", "analysis", "cluster", "search_spaces")

USED_BY_OTHERS = {
    "openpyxl": "pandas reads Excel's tables by it",
    **dict.fromkeys(("onnx", "onnxscript"), "PyTorch writes ONNX by it"),
    "cmaes": "optuna's CMA-ES sampler imports it",
    "google-api-python-client": "Ray's launcher imports it for Google Cloud",
    **dict.fromkeys(
        ("pyjpegls", "pylibjpeg", "pylibjpeg-openjpeg", "pylibjpeg-rle", "python-gdcm"),
        "pydicom decodes compressed pixels by it",
    ),
}
OF_AN_EXTRA = {
    "boto3", "botocore", "dcm2niix", "mlflow-skinny", "monai", "onnxruntime", "pydicom", "simpleitk", "wandb",
}  # fmt: skip
"""Imported where a user has installed an extra: ``boto3`` brings ``botocore``."""
OF_A_GPU = {"triton"}
"""Imported where PyTorch is the one for GPUs, which brings it."""


def project() -> dict[str, Any]:
    with open(ROOT / "pyproject.toml", "rb") as file:
        read: dict[str, Any] = tomllib.load(file)
    return read


def named(requirements: list[str]) -> set[str]:
    """Distributions that requirements name."""
    return {re.split(r"[\[<>=!~; ]", requirement)[0].lower() for requirement in requirements}


def imported_modules() -> Iterator[str]:
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    yield from (alias.name for alias in node.names)
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    yield node.module


def imported() -> set[str]:
    """Distributions of what the packages import, anywhere in a file, but for Python's and their own."""
    modules = {name.split(".")[0] for name in imported_modules()}
    known = packages_distributions()
    outside = modules - sys.stdlib_module_names - set(PACKAGES)
    return {known.get(module, [module])[0].lower() for module in outside}


def test_what_is_imported_is_declared() -> None:
    assert imported() - OF_AN_EXTRA - OF_A_GPU <= named(project()["project"]["dependencies"])


def test_what_is_imported_of_an_extra_is_declared_there() -> None:
    extras = project()["project"]["optional-dependencies"]
    optional = set().union(*(named(extra) for name, extra in extras.items() if name != "test"))
    assert imported() & OF_AN_EXTRA - {"botocore"} <= optional


def test_what_is_declared_is_imported() -> None:
    tables = project()["project"]
    declared = named(tables["dependencies"])
    for name, extra in tables["optional-dependencies"].items():
        declared |= named(extra) if name not in ("test", "docs") else set()
    assert declared - imported() <= set(USED_BY_OTHERS)


@pytest.mark.parametrize("package", PACKAGES)
def test_types_are_shipped(package: str) -> None:
    assert (ROOT / package / "py.typed").exists()
    assert "py.typed" in project()["tool"]["setuptools"]["package-data"][package]

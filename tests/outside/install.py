"""Installs the package outside the tree as pip would: its modules, and what it says about itself."""

from __future__ import annotations

import os
import shutil
import tomllib
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
STUDY = HERE / "study.py"


def install(folder: Path) -> dict[str, str]:
    """Installs it below a folder; the environment in which Python finds it there."""
    project: dict[str, Any] = tomllib.loads((HERE / "pyproject.toml").read_text())["project"]
    shutil.copytree(HERE / "outside_lung", folder / "outside_lung")
    about = folder / f"outside_lung-{project['version']}.dist-info"
    about.mkdir()
    named = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (about / "METADATA").write_text(named)
    lines = []
    for group, points in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in points.items())]
    (about / "entry_points.txt").write_text("\n".join(lines) + "\n")
    path = os.pathsep.join([str(folder), str(HERE.parents[1])])
    return {**os.environ, "PYTHONPATH": path}


def write_clips(manifest: Path, folder: Path) -> Path:
    """The tests' small cohort, laid out as the package's source has it."""
    (folder / "clips").mkdir(parents=True)
    rows = [line.split(",") for line in manifest.read_text().splitlines()[1:]]
    for name, *_ in rows:
        shutil.copy(manifest.parent / name, folder / "clips" / name)
    lines = [f"{name},{patient},{date[6]},{score}" for name, patient, date, score in rows]
    (folder / "ratings.csv").write_text("\n".join(["clip,subject,session,sf", *lines]) + "\n")
    return folder

"""The software and hardware that results depend on: versions, the commit and the processor."""

from __future__ import annotations

import hashlib
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from learner_ray.core.files import sha256_of

PACKAGES = (
    "learner-ray",
    "ray",
    "torch",
    "optuna",
    "numpy",
    "pandas",
    "scikit-learn",
    "nibabel",
    "decord",
    "av",
)


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that results depend on."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def code_hash(package: Path = Path(__file__).resolve().parents[1]) -> str:  # noqa: B008 (constant)
    """The first twelve digits of the SHA-256 of a package's Python files and their names: by default, of this
    package, whose version stays the same from one commit to the next."""
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(f"{path.relative_to(package).as_posix()}\0".encode())
        digest.update(sha256_of(path).encode())
    return digest.hexdigest()[:12]


def git_sha() -> str:
    """The commit of this checkout, with ``+`` where files differ from it; empty outside a checkout."""
    root = Path(__file__).resolve().parents[2]
    try:
        command = ["git", "-C", str(root), "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def processor() -> str:
    """The processor's name; empty where the system does not say."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "")

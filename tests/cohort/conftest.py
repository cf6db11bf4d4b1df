"""A cache of its own for every test, real data where they are, and a way to write manifests."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cohort.rows import COLUMNS, VALID

WriteManifest = Callable[..., Path]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("LEARNER_RAY_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def shared_data():
    """Finds a folder of the data kept beside the repository."""

    def find(name: str) -> Path:
        folder = Path(__file__).resolve().parents[2].parent / "shared" / "data" / name
        if not folder.is_dir():
            pytest.skip(f"the data set {name} is not beside this repository, in ../shared/data")
        return folder

    return find


@pytest.fixture
def write_manifest(tmp_path) -> WriteManifest:
    """Writes rows of cells as a manifest; every path but those with "absent" in them becomes a file."""

    def write(rows=VALID, columns=COLUMNS, name="manifest.csv", separator=",") -> Path:
        for row in rows:
            path = tmp_path / dict(zip(columns, row, strict=False)).get("path", "")
            if path != tmp_path and "absent" not in path.name:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(path.name.encode())
        lines = [separator.join(cells) for cells in (columns, *rows)]
        (tmp_path / name).write_text("\n".join(lines) + "\n")
        return tmp_path / name

    return write

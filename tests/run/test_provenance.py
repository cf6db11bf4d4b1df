"""What a node's software is known by."""

from pathlib import Path

import pytest

from learner_ray.run.provenance import code_hash


@pytest.fixture
def package(tmp_path: Path) -> Path:
    (tmp_path / "losses").mkdir()
    (tmp_path / "losses" / "mse.py").write_text("weight = 1\n")
    (tmp_path / "notes.txt").write_text("no code")
    return tmp_path


def test_a_changed_renamed_or_further_file_of_code_is_seen_and_nothing_else(package: Path) -> None:
    before, file = code_hash(package), package / "losses" / "mse.py"
    (package / "notes.txt").write_text("other notes")
    assert code_hash(package) == before
    found = {before}
    for change in (
        lambda: file.write_text("weight = 2\n"),
        lambda: file.rename(package / "losses" / "mae.py"),
        lambda: (package / "new.py").touch(),
    ):
        change()
        found.add(code_hash(package))
    assert len(found) == 4

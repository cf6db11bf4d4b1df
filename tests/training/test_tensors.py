"""Files of tensors survive a power cut, and what is damaged is told without PyTorch's advice."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch

from learner_ray.training.tensors import UnreadableError, read_tensors, write_tensors

STATE = {"network": {"weight": torch.arange(1000.0)}, "epoch": 3}


@pytest.fixture
def content(tmp_path: Path) -> bytes:
    write_tensors(STATE, tmp_path / "x.pt")
    return (tmp_path / "x.pt").read_bytes()


def test_tensors_come_back(content: bytes) -> None:
    found = read_tensors(content)
    assert found["epoch"] == 3 and torch.equal(found["network"]["weight"], STATE["network"]["weight"])


@pytest.mark.parametrize("damage", ["cut", "flipped", "random", "empty", "json"])
def test_damage_is_told_in_our_words(content: bytes, damage: str) -> None:
    middle = len(content) // 2
    damaged = {
        "cut": content[:middle],
        # Of a weight: PyTorch itself reads on.
        "flipped": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
        "random": os.urandom(5000),
        "empty": b"",
        "json": b"[]",
    }
    with pytest.raises(UnreadableError) as told:
        read_tensors(damaged[damage])
    assert "weights_only" not in str(told.value) and "damaged" in str(told.value)


def test_the_data_is_on_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    def seen(name: str) -> None:
        real = getattr(os, name)

        def call(*args: Any) -> Any:
            done.append(name)
            return real(*args)

        monkeypatch.setattr(os, name, call)

    seen("fsync")
    seen("replace")
    write_tensors(STATE, tmp_path / "x.pt")
    assert done == ["fsync", "replace", "fsync"]
    assert [path.name for path in tmp_path.iterdir()] == ["x.pt"]

"""What a cluster file says."""

from __future__ import annotations

from pathlib import Path

import pytest

from learner_ray.core.errors import UserError
from learner_ray.engine.launcher import price_per_hour

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("line", "price"), [("", None), ("price_per_hour: 0.4", 0.4), ("price_per_hour: 3", 3.0)]
)
def test_a_cluster_file_may_name_a_price(tmp_path: Path, line: str, price: float | None) -> None:
    file = tmp_path / "cluster.yaml"
    file.write_text(f"cluster_name: ours\nprovider:\n  type: local\n  {line}\n")
    assert price_per_hour(file) == price


@pytest.mark.parametrize("value", ["cheap", "-1", "true", ".inf", ".nan"])
def test_a_price_is_a_number(tmp_path: Path, value: str) -> None:
    file = tmp_path / "cluster.yaml"
    file.write_text(f"cluster_name: ours\nprovider: {{type: local, price_per_hour: {value}}}\n")
    with pytest.raises(UserError, match="price_per_hour"):
        price_per_hour(file)


@pytest.mark.parametrize("name", ["gpu.yaml", "gcp.yaml"])
def test_the_commented_price_of_our_files_can_be_taken_in(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    text = (ROOT / "cluster" / name).read_text(encoding="utf-8")
    file.write_text(text.replace("# price_per_hour", "price_per_hour"))
    assert price_per_hour(file) == 0.4

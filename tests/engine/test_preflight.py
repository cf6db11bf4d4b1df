"""A cluster that cannot run a study is refused with what is wrong on which node."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from learner_ray.core.errors import UserError
from learner_ray.engine.preflight import Node, check_nodes, inspect_nodes, must_agree

GOOD = Node(
    host="n1",
    versions=must_agree(),
    sees_data=True,
    sees_results=True,
    gpus=0,
    precision="float32",
)


@pytest.mark.ray
@pytest.mark.usefixtures("joined")
def test_a_node_tells_what_it_sees(tmp_path: Path) -> None:
    out = str(tmp_path / "results" / "lus")
    seen = inspect_nodes(str(tmp_path), out)
    blind = inspect_nodes(str(tmp_path / "nowhere"), out)
    assert [n.sees_data for n in (*seen, *blind)] == [True, False]
    assert all(n.sees_results and n.versions == GOOD.versions for n in (*seen, *blind))
    assert list((tmp_path / "results").iterdir()) == []


def test_equal_nodes_that_see_everything_pass() -> None:
    check_nodes([GOOD, replace(GOOD, host="n2")], "data", "out")


def test_all_faults_are_listed_by_node() -> None:
    nodes = [
        GOOD,
        replace(GOOD, host="n2", versions={**GOOD.versions, "torch": "0.1"}),
        replace(GOOD, host="n3", sees_data=False),
        replace(GOOD, host="n4", sees_results=False),
        replace(GOOD, host="n5", versions={**GOOD.versions, "numerics": "0", "learner_ray's files": "a1"}),
    ]
    with pytest.raises(UserError) as error:
        check_nodes(nodes, "data", "out")
    text = str(error.value)
    assert "n1" not in text and "torch 0.1" in text and "numerics 0" in text and "files a1 (here " in text
    assert all(f"n{i}" in text for i in (2, 3, 4, 5))

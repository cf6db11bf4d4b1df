"""When on-demand nodes are asked for, and for how long."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

import pytest
import yaml
from ray import cloudpickle

from learner_ray.core.errors import UserError
from learner_ray.engine import on_demand, ray_private
from learner_ray.engine.asked_nodes import AskedNodes
from learner_ray.engine.cluster_file import Offer, launchable, offered
from learner_ray.engine.on_demand import GpuNodes, OnDemandNodes, check_on_demand
from learner_ray.study.options import SweepOptions
from tests.cluster.files import CLUSTER
from tests.ray_head import asked_of_autoscaler
from tests.small_sweep import sweep

AFTER_S = 300.0


@dataclass
class Cluster(AskedNodes):
    """A cluster whose nodes and clock the test sets, and what its autoscaler is asked for."""

    nodes: GpuNodes = field(default_factory=GpuNodes)
    now: float = 0.0
    wanted: float = 8
    asked: int = 0
    requests: int = 0

    def ask(self, nodes: int, each: Mapping[str, float]) -> None:
        assert each == {"GPU": 4, "on_demand": 1}
        self.asked, self.requests = nodes, self.requests + 1

    def rule(self, nodes: int = 2) -> OnDemandNodes:
        return OnDemandNodes(
            AFTER_S,
            Offer(nodes=nodes, gpus_each=4, is_last_choice=True),
            lambda: self.wanted,
            up=lambda: self.nodes,
            asked=self,
            clock=lambda: self.now,
        )

    def after(self, seconds: float, rule: OnDemandNodes) -> int:
        """What is asked for so much later."""
        self.now += seconds
        rule.look()
        return self.asked


def test_nodes_are_asked_for_once_none_has_been_up_for_so_long() -> None:
    cluster = Cluster(nodes=GpuNodes(spot=1))
    with cluster.rule() as rule:
        assert cluster.after(10 * AFTER_S, rule) == 0
        cluster.nodes = GpuNodes()
        assert cluster.after(AFTER_S - 1, rule) == 0
        cluster.nodes = GpuNodes(spot=1)
        assert cluster.after(10, rule) == 0
        cluster.nodes = GpuNodes()
        assert cluster.after(AFTER_S - 1, rule) == 0
        assert cluster.after(1, rule) == 2
        assert cluster.after(3600, rule) == 2 and cluster.requests == 1


@pytest.mark.parametrize(("wanted", "asked"), [(0, 0), (0.25, 1), (4, 1), (4.5, 2), (100, 2)])
def test_no_more_than_the_sweep_can_use_and_the_file_allows(wanted: float, asked: int) -> None:
    cluster = Cluster(wanted=wanted)
    with cluster.rule() as rule:
        assert cluster.after(AFTER_S, rule) == asked


def test_they_are_asked_for_until_one_has_come_and_again_in_the_next_drought() -> None:
    cluster = Cluster()
    with cluster.rule() as rule:
        assert cluster.after(AFTER_S, rule) == 2
        cluster.nodes = GpuNodes(on_demand=1)
        assert cluster.after(60, rule) == 0, "the request would keep its GPU from runs"
        cluster.nodes = GpuNodes()
        assert cluster.after(AFTER_S - 1, rule) == 0
        assert cluster.after(1, rule) == 2


def test_a_spot_node_ends_the_drought() -> None:
    cluster = Cluster()
    with cluster.rule() as rule:
        assert cluster.after(AFTER_S, rule) == 2
        cluster.nodes = GpuNodes(spot=1)
        assert cluster.after(60, rule) == 0


def test_nothing_is_asked_for_after_the_sweep() -> None:
    cluster = Cluster()
    with cluster.rule() as rule:
        assert cluster.after(AFTER_S, rule) == 2
    assert cluster.asked == 0


def test_what_was_asked_for_and_what_came_is_said_in_a_line_each(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", on_demand.__name__)
    cluster = Cluster()
    with cluster.rule() as rule:
        cluster.after(AFTER_S, rule)
        cluster.nodes = GpuNodes(on_demand=2)
        cluster.after(60, rule)
    asked, came = caplog.messages
    assert "for 5 minutes: asking for 2 on demand;" in asked
    assert "On-demand GPU nodes are coming up" in came


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the launcher leaves the cluster file on a head."""
    path = tmp_path / "ray_bootstrap_config.yaml"
    monkeypatch.setattr(ray_private, "BOOTSTRAP_FILE", path)
    return path


@pytest.mark.parametrize("name", ["gpu.yaml", "gcp.yaml"])
def test_the_clouds_files_offer_two_such_nodes_among_eight(name: str, file: Path) -> None:
    file.write_text((CLUSTER / name).read_text())
    assert offered() == Offer(nodes=2, gpus_each=1, is_last_choice=True)
    assert launchable("GPU") == 8


def test_where_no_such_node_can_come_the_option_is_refused(file: Path) -> None:
    options = SweepOptions(on_demand_after=5)
    check_on_demand(SweepOptions(), local=True)
    with pytest.raises(UserError, match=r"--on-demand-after 5 asks a cluster's autoscaler.*leave it out"):
        check_on_demand(options, local=True)
    with pytest.raises(UserError, match=r"has no on-demand nodes: leave it out.*cluster/gpu.yaml"):
        check_on_demand(options, local=False)
    config = yaml.safe_load((CLUSTER / "gpu.yaml").read_text())
    file.write_text(yaml.safe_dump(config))
    check_on_demand(options, local=False)
    with pytest.raises(UserError, match=r"is for runs of one device.*--devices-per-trial 4"):
        check_on_demand(SweepOptions(on_demand_after=5, devices_per_trial=4), local=False)
    config["available_node_types"]["gpu_on_demand"]["max_workers"] = 0
    file.write_text(yaml.safe_dump(config))
    with pytest.raises(UserError, match="has no on-demand nodes"):
        check_on_demand(options, local=False)


def test_a_file_by_which_they_come_unasked_is_warned_of(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = yaml.safe_load((CLUSTER / "gpu.yaml").read_text())
    for most, warned in ((8, False), (4, True)):
        config["available_node_types"]["gpu"]["max_workers"] = most
        file.write_text(yaml.safe_dump(config))
        check_on_demand(SweepOptions(), local=False)
        assert bool(caplog.messages) == warned, caplog.messages
    assert "get on-demand nodes unasked" in caplog.text


def test_tune_writes_nothing_of_it_down() -> None:
    """What it refers to, such as an experiment tracker, cannot be written down."""
    rule = OnDemandNodes(AFTER_S, Offer(nodes=1, gpus_each=1, is_last_choice=True), Lock().locked)
    assert vars(cloudpickle.loads(cloudpickle.dumps(rule))) == {}


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.usefixtures("joined", "file")
def test_the_sweep_refuses_it_before_it_asks_for_anything(
    manifest: Path, tmp_path: Path, ray_address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "results" / "lus"
    assert sweep(manifest, out, "--on-demand-after", "5") == 2
    assert "has no on-demand nodes" in capsys.readouterr().err
    assert not asked_of_autoscaler(ray_address) and not out.exists()

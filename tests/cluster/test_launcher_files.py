"""Every file that `ray up` reads is valid for Ray and safe as it stands."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.cluster.files import CLUSTER, COMMAND_LISTS, load, prepared, ray_starts

FILES = ["gpu.yaml", "gcp.yaml", "onprem.yaml"]
CLOUD_FILES = ["gpu.yaml", "gcp.yaml"]
each_file = pytest.mark.parametrize("name", FILES)
each_cloud = pytest.mark.parametrize("name", CLOUD_FILES)


@each_file
def test_ray_accepts_it(name: str) -> None:
    assert prepared(name)["cluster_name"] == "learner-ray"


@each_file
def test_no_default_command_of_the_launcher_is_left(name: str) -> None:
    """Ray's defaults bind the dashboard to every address and install a nightly wheel."""
    commands = [c for key, value in prepared(name).items() if key.endswith("_commands") for c in value]
    assert not [c for c in commands if "0.0.0.0" in c or "ray-wheels" in c]
    own = load(name)
    assert {*COMMAND_LISTS, "head_start_ray_commands", "worker_start_ray_commands"} <= own.keys()


@each_file
def test_every_start_has_a_token_and_calls_nobody(name: str) -> None:
    starts = ray_starts(load(name))
    assert len(starts) == 2
    for command in starts:
        before = command.split("ray start")[0]
        assert "RAY_AUTH_MODE=token" in before and "RAY_USAGE_STATS_ENABLED=0" in before
        assert re.search(r"ulimit -n \d{5}", before)


@each_file
def test_dashboard_answers_on_the_head_itself_only(name: str) -> None:
    head, worker = ray_starts(load(name))
    assert "--dashboard-host=127.0.0.1" in head and "--head" in head
    assert "--head" not in worker
    assert not re.search(r"--ray-client-server-port|--dashboard-host=(?!127\.0\.0\.1)", head + worker)


@each_file
def test_token_reaches_the_nodes_and_only_their_user_reads_it(name: str) -> None:
    config = load(name)
    assert config["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"
    assert any("cluster/setup.sh" in command for command in config["setup_commands"])
    assert "chmod 600 ~/.ray/auth_token" in (CLUSTER / "setup.sh").read_text()


@each_file
def test_every_shell_of_a_node_is_told_the_settings(name: str) -> None:
    text = (CLUSTER / "env.sh").read_text()
    assert "export RAY_AUTH_MODE=token\n" in text and "export RAY_USAGE_STATS_ENABLED=0\n" in text


@each_file
def test_the_whole_package_travels_and_nothing_else(name: str) -> None:
    """Nodes build the unpublished project from these files; no scan and no result travels with them."""
    root = CLUSTER.parent
    mounts = {k: v for k, v in load(name)["file_mounts"].items() if k.startswith("~/learner_ray/")}
    assert all(remote == f"~/learner_ray/{local}" for remote, local in mounts.items())
    project = pytest.importorskip("tomllib").loads((root / "pyproject.toml").read_text())
    packages = {p.rstrip("*") for p in project["tool"]["setuptools"]["packages"]["find"]["include"]}
    needed = packages | {"pyproject.toml", "constraints.txt", project["project"]["readme"]}
    assert set(mounts.values()) == needed | set(project["project"]["license-files"])
    assert all((root / local).exists() for local in mounts.values())


@each_file
def test_no_name_of_a_scan_or_result_is_left_out_of_copies(name: str) -> None:
    """`ray rsync-down` applies the same list: excluding `results` here would bring home an empty folder."""
    config = load(name)
    assert config["rsync_exclude"] == ["__pycache__"] and config["rsync_filter"] == []


def test_install_is_pinned() -> None:
    setup = (CLUSTER / "setup.sh").read_text()
    installs = re.findall(r"pip install.*", setup)
    assert len(installs) == 1 and "--constraint constraints.txt" in installs[0]
    pins = (Path(CLUSTER).parent / "constraints.txt").read_text()
    # A local version (+cpu) would keep a GPU node from installing PyPI's CUDA build.
    assert re.search(r"^torch==[0-9.]+$", pins, re.MULTILINE)
    assert re.search(r"^ray==[0-9.]+$", pins, re.MULTILINE)


@each_file
def test_every_command_is_shell(name: str) -> None:
    lines = [c for key, value in load(name).items() if key.endswith("_commands") for c in value]
    for line in lines:
        subprocess.run(["bash", "-n", "-c", line], check=True)


@each_cloud
def test_gpu_nodes_come_from_zero_and_go_when_idle(name: str) -> None:
    config = prepared(name)
    workers = {k: v for k, v in config["available_node_types"].items() if k != config["head_node_type"]}
    assert workers and all(w["min_workers"] == 0 and w["max_workers"] > 0 for w in workers.values())
    assert all(w["resources"]["GPU"] >= 1 for w in workers.values())
    assert 0 < config["idle_timeout_minutes"] <= 15


@each_cloud
def test_head_is_small_and_holds_the_driver(name: str) -> None:
    config = prepared(name)
    resources = config["available_node_types"][config["head_node_type"]]["resources"]
    assert resources["driver"] == 100 and resources["CPU"] <= 4 and "GPU" not in resources
    others = [v for k, v in config["available_node_types"].items() if k != config["head_node_type"]]
    assert all("driver" not in other["resources"] for other in others)


def test_own_hosts_all_stay_and_the_first_holds_the_driver() -> None:
    config = prepared("onprem.yaml")
    (node_type,) = config["available_node_types"].values()
    assert node_type["min_workers"] == node_type["max_workers"] == len(config["provider"]["worker_ips"])
    head, worker = ray_starts(config)
    assert """--resources='{"driver":100}'""" in head and "driver" not in worker
    # Version 2 of the autoscaler never starts the last on-premise worker.
    assert "RAY_enable_autoscaler_v2=0" in head.split("ray start")[0]


def test_a_shell_on_a_node_begins_where_all_nodes_see_its_results(tmp_path: Path) -> None:
    home, shared = tmp_path / "home", tmp_path / "shared"
    home.mkdir()
    shared.mkdir()
    (home / ".bashrc").write_text((CLUSTER / "env.sh").read_text().replace("/shared", str(shared)))
    for words, begins in ((["-i", "-c", "pwd"], shared), (["-c", "source ~/.bashrc; pwd"], home)):
        done = subprocess.run(
            ["bash", *words], cwd=home, env={"HOME": str(home), "PATH": "/usr/bin:/bin"}, capture_output=True
        )
        assert done.stdout.decode().strip() == str(begins)

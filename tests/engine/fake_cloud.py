"""A cloud whose nodes are processes here, under Ray's own autoscaler; its spot nodes may be taken away."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from ray.autoscaler._private.fake_multi_node.node_provider import FAKE_HEAD_NODE_ID, FakeMultiNodeProvider
from ray.autoscaler.tags import TAG_RAY_USER_NODE_TYPE

from learner_ray.engine.head import answers
from learner_ray.engine.ray_private import BOOTSTRAP_FILE
from tests.ray_head import free_address, head
from tests.small_sweep import GUARD_S

DROUGHT, ASKED = "drought", "asked.txt"
"""Files in the cloud's folder: while the first exists there are no spot nodes; the second has a line for each
node that was asked for, with its type."""

SPOT, ON_DEMAND = "gpu", "gpu_on_demand"
GPU = {"CPU": 1, "GPU": 1, "object_store_memory": 10**8}
TYPES = {SPOT: GPU, ON_DEMAND: GPU | {"on_demand": 1}}

UNUSED = """cluster_synced_files initialization_commands setup_commands head_setup_commands
worker_setup_commands head_start_ray_commands worker_start_ray_commands rsync_exclude rsync_filter"""


class FakeCloud(FakeMultiNodeProvider):  # type: ignore[misc]
    """Refuses spot nodes in a drought, and takes away those that are up, as the autoscaler looks."""

    def create_node_with_resources_and_labels(
        self, node_config: Any, tags: Mapping[str, str], count: int, resources: Any, labels: Any
    ) -> None:
        kind = tags[TAG_RAY_USER_NODE_TYPE]
        with (self._folder / ASKED).open("a") as asked:
            asked.write(f"{kind}\n" * count)
        if kind == SPOT and self._is_dry:
            raise RuntimeError("InsufficientInstanceCapacity")
        super().create_node_with_resources_and_labels(node_config, tags, count, resources, labels)

    def non_terminated_nodes(self, tag_filters: Any) -> list[str]:
        with self.lock:
            if self._is_dry:
                for node in [n for n in self._nodes if self.node_tags(n).get(TAG_RAY_USER_NODE_TYPE) == SPOT]:
                    self._nodes.pop(node)["node"].kill_all_processes(check_alive=False, allow_graceful=False)
            return list(super().non_terminated_nodes(tag_filters))

    @property
    def _folder(self) -> Path:
        return Path(self.provider_config["folder"])

    @property
    def _is_dry(self) -> bool:
        return (self._folder / DROUGHT).exists()


@contextmanager
def autoscaled_head(folder: Path, most: int, types: Mapping[str, tuple[Any, int]]) -> Iterator[str]:
    """The address of a head, in whose home folder lies the file of a cluster that has no GPU node up yet.

    Args:
        folder: the cloud's folder and the head's home.
        most: nodes beside the head.
        types: by name, a node's resources and how many there may be.
    """
    address = free_address()
    config = {
        "cluster_name": "fake",
        "max_workers": most,
        "idle_timeout_minutes": 5,
        "upscaling_speed": 1.0,
        "provider": {
            "type": "external",
            "module": f"{__name__}.FakeCloud",
            "folder": str(folder),
            "gcs_address": address,
            "launch_multiple": True,
            "disable_node_updaters": True,
        },
        "available_node_types": {
            "ray.head.default": {"resources": {"CPU": 1}, "node_config": {}, "max_workers": 0},
            **{
                name: {"resources": resources, "node_config": {}, "min_workers": 0, "max_workers": count}
                for name, (resources, count) in types.items()
            },
        },
        "head_node_type": "ray.head.default",
        "file_mounts": {},
        "file_mounts_sync_continuously": False,
        **{name: [] for name in UNUSED.split()},
        **{name: {} for name in ("auth", "docker")},
    }
    bootstrap = folder / BOOTSTRAP_FILE.name
    bootstrap.write_text(yaml.safe_dump(config))
    root = Path(__file__).parents[2]
    env = {
        "RAY_FAKE_CLUSTER": "1",
        "AUTOSCALER_UPDATE_INTERVAL_S": "1",
        # As `ray up` has it: version 2 starts nothing before it knows the head.
        "RAY_enable_autoscaler_v2": "1",
        "RAY_CLOUD_INSTANCE_ID": FAKE_HEAD_NODE_ID,
        "PYTHONPATH": f"{root}:{os.environ.get('PYTHONPATH', '')}",
    }
    with head(address, "--num-cpus=1", f"--autoscaling-config={bootstrap}", env=env):
        until = time.monotonic() + GUARD_S
        while not answers(address):  # a command would have given up by then, where the machine is busy
            assert time.monotonic() < until
            time.sleep(0.2)
        yield address

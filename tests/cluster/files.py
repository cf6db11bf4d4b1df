"""The cluster files, as their launchers would read them."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

CLUSTER = Path(__file__).parents[2] / "cluster"
COMMAND_LISTS = ("setup_commands", "head_setup_commands", "worker_setup_commands")
START_LISTS = ("head_start_ray_commands", "worker_start_ray_commands")


def load(name: str) -> dict[str, Any]:
    return yaml.safe_load((CLUSTER / name).read_text())


def prepared(name: str) -> dict[str, Any]:
    """The file with Ray's defaults filled in, past Ray's own schema. Touches no network."""
    config = prepare_config(copy.deepcopy(load(name)))
    validate_config(config)
    return config


def ray_starts(config: dict[str, Any]) -> list[str]:
    return [command for key in START_LISTS for command in config[key] if re.search(r"\bray start\b", command)]

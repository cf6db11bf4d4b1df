"""The launch of a head as `ray up` does it, with a recorder in place of ssh and rsync."""

from __future__ import annotations

from ray.autoscaler._private import commands


class Recorder:
    """Stands in for `subprocess`: notes what would be run on the nodes."""

    def __init__(self):
        self.lines = []

    def check_call(self, command, *args, **kwargs):
        self.lines.append(" ".join(command))
        return 0

    def check_output(self, command, *args, **kwargs):
        self.lines.append(" ".join(command))
        return b""

    def said(self, text):
        return [line for line in self.lines if text in line]


def launch_head(config):
    """As `ray up` does it; what it would type on the head is only noted, by the recorder that is returned."""
    recorder = Recorder()
    commands.get_or_create_head_node(
        config,
        printable_config_file="cluster/gpu.yaml",
        no_restart=False,
        restart_only=False,
        yes=True,
        override_cluster_name=None,
        _runner=recorder,
    )
    return recorder


def assert_ray_is_closed(recorder):
    """Ray is started once on the head, asks for the token, calls nobody and listens on the head alone."""
    (start,) = recorder.said("ray start")
    for setting in ("RAY_AUTH_MODE=token", "RAY_USAGE_STATS_ENABLED=0", "--dashboard-host=127.0.0.1"):
        assert setting in start
    assert not recorder.said("0.0.0.0")

"""Virtual hosts on this machine, clusters that `ray up` brings up on them, and a shell on each."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.files import CLUSTER, load

ROOT = CLUSTER.parent
HOSTS = 4
"""How many there are: three for a cluster, and one that nobody has installed anything on."""
MISSING = [
    name for name in ("ip", "/usr/sbin/sshd", "ssh-keygen", "rsync", "unshare") if not shutil.which(name)
]
ALIVE = "import ray; ray.init(log_to_driver=False); print(sum(n['Alive'] for n in ray.nodes()))"
METADATA = "169.254.169.254"
"""Where a cloud's machines find what it has to say of them."""
TINY = "--profile laptop --set data.image_size=32 --set data.frames=2"
BORROWED = [
    f"ln -sfn {shlex.quote(sys.prefix)} ~/learner_ray/.venv",
    "cd ~/learner_ray/cluster && sed '/-m venv\\|pip install/d' setup.sh >here.sh && bash here.sh",
    "echo 'export PYTHONPATH=$HOME/learner_ray' >>~/.bashrc",
]
"""Sets a host up with this checkout's environment and its own copy of the project, to save minutes."""


def can_make_hosts() -> bool:
    """Whether this machine lets root make namespaces and bridges: a container may not."""
    if os.geteuid() or MISSING:
        return False
    lines = ("unshare --net --pid --fork true", "ip link add lrprobe type bridge", "ip link del lrprobe")
    return not any(
        subprocess.run(line.split(), capture_output=True, check=False).returncode for line in lines
    )


NEEDS_HOSTS = [
    pytest.mark.cluster,
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
    pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}"),
    pytest.mark.skipif(not can_make_hosts(), reason="this machine lets nobody make network namespaces"),
]


def virtual_hosts(*arguments: object) -> None:
    subprocess.run(["bash", Path(__file__).with_name("virtual_hosts.sh"), *map(str, arguments)], check=True)


def address(host: int) -> str:
    return f"10.213.77.{10 + host}"


class Cluster:
    """`ray up` and `ray down` of the on-premise file for some virtual hosts, and a shell on each of them.

    Args:
        folder: what `virtual_hosts` was given.
        name: of the cluster's file, and of the home of the one who types `ray up`.
        hosts: their numbers, the head first.
        setup: shell lines in place of the file's own.
        worker_lines: shell lines after Ray's start on every host but the head.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        hosts: tuple[int, ...],
        setup: list[str],
        worker_lines: tuple[str, ...] = (),
    ) -> None:
        self.folder, self.hosts = folder, hosts
        self.name = f"{name}-{os.getpid()}"
        self.data = folder / "cohort" / "manifest.csv"
        self.home = folder / name
        self.file = folder / f"{name}.yaml"
        self.file.write_text(yaml.safe_dump(self._configuration(setup, worker_lines)))
        self.environment = self._laptop()

    def _configuration(self, setup: list[str], worker_lines: tuple[str, ...]) -> dict[str, Any]:
        """onprem.yaml for these hosts."""
        config = load("onprem.yaml")
        config["cluster_name"] = self.name
        first, *others = map(address, self.hosts)
        config["provider"] |= {"head_ip": first, "worker_ips": others}
        config["auth"] = {"ssh_user": "root", "ssh_private_key": str(self.folder / "key")}
        config["setup_commands"] = setup
        for key in ("head_start_ray_commands", "worker_start_ray_commands"):
            small = "ray start --num-cpus=1 --object-store-memory=150000000"
            config[key] = [command.replace("ray start", small) for command in config[key]]
        # After `ray down` the workers wait a minute for their head before they leave; here, less.
        hurried = "RAY_gcs_rpc_server_reconnect_timeout_s=3 ray start"
        key = "worker_start_ray_commands"
        config[key] = [command.replace("ray start", hurried) for command in config[key]] + [*worker_lines]
        return config

    def _laptop(self) -> dict[str, str]:
        """The environment of the one who types `ray up`: a home of its own, with a token."""
        (self.home / ".ray").mkdir(parents=True)
        (self.home / "tmp" / "ray").mkdir(parents=True)
        (self.home / ".ray" / "auth_token").write_text(secrets.token_hex(32))
        own = {"HOME": self.home, "TMPDIR": self.home / "tmp", "RAY_TMPDIR": self.home / "tmp"}
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        ray = {"RAY_AUTH_MODE": "token", "RAY_USAGE_STATS_ENABLED": "0", "PATH": path}
        return os.environ | {name: str(value) for name, value in own.items()} | ray

    def sockets(self) -> list[Path]:
        """Where the launcher keeps its ssh connections; it never removes the folder."""
        return list(Path("/tmp").glob(f"ray_ssh_*/{hashlib.sha256(self.name.encode()).hexdigest()[:10]}"))

    def ray(self, verb: str) -> None:
        command = ["ray", verb, "--yes", str(self.file)]
        done = subprocess.run(
            command, env=self.environment, cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def ssh(self, host: int, line: str) -> list[str]:
        """The command line that runs a line on a host, in the shell `ray exec` uses."""
        options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR")
        unasked = [word for option in options for word in ("-o", option)]
        shell = f"bash --login -i -c {shlex.quote(f'source ~/.bashrc; {line}')}"
        return ["ssh", *unasked, "-i", str(self.folder / "key"), f"root@{address(host)}", shell]

    def run(self, host: int, line: str) -> str:
        done = subprocess.run(self.ssh(host, line), capture_output=True, text=True, timeout=120, check=False)
        return done.stdout

    def python(self, host: int, code: str) -> str:
        return self.run(host, f"python -c {shlex.quote(code)}").strip()

    def open(self, host: int, line: str, output: Path) -> subprocess.Popen[bytes]:
        """Starts a line on a host that goes on by itself, its output in a file."""
        with output.open("w") as text:
            return subprocess.Popen(self.ssh(host, line), stdin=subprocess.DEVNULL, stdout=text, stderr=text)

    def alive(self) -> int:
        return int(self.python(self.hosts[0], ALIVE) or 0)

    @contextlib.contextmanager
    def up(self) -> Iterator[float]:
        """The cluster once all its hosts have joined; seconds since `ray up` was typed."""
        start = time.monotonic()
        try:
            self.ray("up")
            assert self.sockets(), "the launcher keeps its ssh connections elsewhere"
            wait_until(lambda: self.alive() == len(self.hosts), 240)
            yield time.monotonic() - start
        finally:
            for left in self.sockets():
                shutil.rmtree(left)


def wait_until(happened: Callable[[], object], seconds: float, step: float = 0.5) -> float:
    """Seconds until something is so."""
    start = time.monotonic()
    while not happened():
        assert time.monotonic() - start < seconds, f"not within {seconds} s: {happened}"
        time.sleep(step)
    return time.monotonic() - start


@contextlib.contextmanager
def hosts_up(folder: Path) -> Iterator[None]:
    """Virtual hosts, of which nothing is on this machine any more in the end."""
    spaces = {space for _, space in _processes()}
    virtual_hosts("up", folder, HOSTS)
    try:
        yield
    finally:
        virtual_hosts("down", folder)
    wait_until(lambda: not left_behind(spaces, folder), 30)


def left_behind(spaces: set[str], folder: Path) -> list[str]:
    """What of the hosts is still on this machine."""
    links = [path.name for path in Path("/sys/class/net").glob("lr*")]
    names = [path.name for path in Path("/run/netns").glob("lrhost*")]
    keys = [path.name for path in folder.glob("key*")]
    stale = [str(path) for path in Path("/tmp/ray").glob("ray_current_cluster")]
    running = [line for line, space in _processes() if space not in spaces or str(folder) in line]
    return links + names + keys + stale + running


def _processes() -> Iterator[tuple[str, str]]:
    """Every process: its command line and its PID namespace."""
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            yield (path / "cmdline").read_text().replace("\0", " "), os.readlink(path / "ns" / "pid")

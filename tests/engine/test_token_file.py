"""Who may read Ray's token, and where a Ray of this machine alone listens."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from learner_ray.core.child import child_environment
from learner_ray.engine.token_file import MODE, close_token_file


@pytest.fixture
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv(MODE, raising=False)
    return tmp_path / ".ray" / "auth_token"


def test_a_token_that_others_could_read_is_closed_and_stays_what_it_was(token: Path) -> None:
    token.parent.mkdir()
    token.write_text("abc")
    token.chmod(0o644)
    close_token_file()
    assert token.stat().st_mode & 0o777 == 0o600 and token.read_text() == "abc"


def test_a_token_is_made_that_nobody_else_may_read_unless_none_is_wanted(
    token: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(MODE, "disabled")
    close_token_file()
    assert not token.exists()
    monkeypatch.delenv(MODE)
    close_token_file()
    made = token.read_text()
    close_token_file()
    assert token.stat().st_mode & 0o777 == 0o600 and token.read_text() == made and len(made) == 64
    assert [*token.parent.iterdir()] == [token]


LISTENING = """
import subprocess, time
import ray
from learner_ray.engine.connection import start_local
start_local(1)
@ray.remote
class Actor:
    def answer(self):
        return 1
actor = Actor.remote()
assert ray.get(actor.answer.remote()) == 1
listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True).stdout
parents = dict(map(int, line.split()) for line in listed.splitlines())
mine = {__import__("os").getpid()}
while more := {process for process, parent in parents.items() if parent in mine} - mine:
    mine |= more
print(*mine)
print(subprocess.run(["ss", "-Hltnp"], capture_output=True, text=True).stdout)
"""


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.ray
def test_a_ray_of_this_machine_alone_listens_on_loopback_and_its_token_is_closed(token: Path) -> None:
    if subprocess.run(["which", "ss"], capture_output=True).returncode:
        pytest.skip("needs ss")
    env = child_environment()
    env.pop("RAY_AUTH_MODE", None)
    said = subprocess.run(
        [sys.executable, "-c", LISTENING], env=env, capture_output=True, text=True, timeout=300
    )
    first, *lines = said.stdout.splitlines()
    mine = set(first.split())
    sockets = [line.split()[3] for line in lines if mine & set(re.findall(r"pid=(\d+)", line))]
    assert len(sockets) > 3, said.stderr
    assert all(re.match(r"(127\.0\.0\.1|\[::ffff:127\.0\.0\.1\]|\[::1\]):", each) for each in sockets), (
        sockets
    )
    assert token.stat().st_mode & 0o777 == 0o600
    assert os.environ["HOME"] == str(token.parent.parent)

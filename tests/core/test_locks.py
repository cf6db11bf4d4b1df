"""One process at a time holds a lock, and it ends with the process."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from learner_ray.core.locks import HeldError, held_by, held_unused, locked_file, mark_in_use

HOLD = """
import sys, time
from pathlib import Path
from learner_ray.core.locks import locked_file
with locked_file(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(1000)
"""


def is_free(path: Path) -> bool:
    """As a process of an older version finds it, which calls ``flock`` itself."""
    with open(path) as another:
        try:
            fcntl.flock(another, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def test_a_held_lock_names_its_holder_and_its_file_stays(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    path.write_text("a holder of before, on a host with a very long name 123\n")
    before = path.stat().st_ino
    with locked_file(path):
        assert path.read_text() == f"{socket.gethostname()} {os.getpid()}\n"
        assert not is_free(path)
        held = f"held by process {os.getpid()} on {socket.gethostname()}"
        with pytest.raises(HeldError, match=held), locked_file(path, within_s=0):
            pass
    assert is_free(path) and path.stat().st_ino == before, "whoever waits for this very file is let in"


def test_a_lock_of_an_older_version_is_respected(tmp_path: Path) -> None:
    with open(tmp_path / ".lock", "a") as older:
        fcntl.flock(older, fcntl.LOCK_EX)
        with pytest.raises(HeldError, match="another process"), locked_file(tmp_path / ".lock", within_s=0):
            pass


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    start = time.monotonic()
    with pytest.raises(HeldError, match=f"process {holder.pid} "), locked_file(path, within_s=0.2):
        pass
    assert 0.2 <= time.monotonic() - start < 2, "waits, but not longer than it was told"
    os.kill(holder.pid, signal.SIGKILL)
    with locked_file(path, within_s=5):
        assert path.read_text().split()[1] == str(os.getpid())
    holder.wait()


def test_another_thread_may_let_go(tmp_path: Path) -> None:
    """As an actor does that Ray calls from another thread."""
    held = locked_file(tmp_path / ".lock", within_s=0)
    held.__enter__()
    thread = threading.Thread(target=held.__exit__, args=(None, None, None))
    thread.start()
    thread.join()
    assert is_free(tmp_path / ".lock")


MAP = """
import mmap, sys, time
from learner_ray.core.locks import mark_in_use
with open(sys.argv[1], "rb") as stream:
    assert mark_in_use(stream)
    mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
print("mapped", flush=True)
time.sleep(1000)
"""


def test_a_mapped_file_is_in_use_until_its_process_ends(tmp_path: Path) -> None:
    path = tmp_path / "pixels"
    path.write_bytes(b"0" * 100)
    with subprocess.Popen([sys.executable, "-c", MAP, str(path)], stdout=subprocess.PIPE) as mapping:
        assert mapping.stdout is not None and mapping.stdout.readline() == b"mapped\n"
        with held_unused(path) as state:
            assert state == "in use"
        mapping.kill()
    with held_unused(path) as state, open(path, "rb") as late:
        assert state == "unused" and not mark_in_use(late), "nobody begins to use what is removed"
    with open(path, "rb") as one, open(path, "rb") as two:
        assert mark_in_use(one) and mark_in_use(two)


def test_who_holds_a_lock_is_seen_without_taking_it(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    assert not held_by(lock).here
    with locked_file(lock):
        holder = held_by(lock)
        assert (holder.here, holder.elsewhere, holder.process) == (True, False, str(os.getpid()))
    assert not held_by(lock).here
    with lock.open("rb") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        assert held_by(lock).here
        lock.write_text(f"{socket.gethostname()} {os.getppid()}\n")
        assert not held_by(lock).here, "the lock is that of another process than the file names"
    lock.write_text("another-machine 1\n")
    assert held_by(lock).elsewhere

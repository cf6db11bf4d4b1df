"""The view beside a sweep tells its address, and neither its end nor its failure touches the sweep."""

from __future__ import annotations

import threading
import urllib.request
from pathlib import Path

import pytest

from learner_ray.watch import beside
from learner_ray.watch.beside import watched
from tests.watch.watched_study import watched_study


class Announced(threading.Event):
    """What was announced, once it was."""

    text = ""

    def __call__(self, text: str) -> None:
        self.text = text
        self.set()


@pytest.mark.slow
def test_the_page_is_there_before_the_study_and_shows_it_once_it_has_begun(tmp_path: Path) -> None:
    said = Announced()
    with watched(tmp_path / "lus", said):
        assert said.wait(60)
        address = said.text.partition(": ")[2]
        assert "Waiting" in urllib.request.urlopen(address).read().decode()
        watched_study(tmp_path / "lus", 5)
        assert "Not running: " in until_it_says(address, "of 32")
    assert "Not running" in urllib.request.urlopen(address).read().decode()  # for a moment


def until_it_says(address: str, words: str) -> str:
    for _ in range(200):
        page: str = urllib.request.urlopen(f"{address}parts").read().decode()
        if words in page:
            return page
        threading.Event().wait(0.1)
    raise AssertionError(page)


def test_a_view_that_does_not_start_is_said_and_the_sweep_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for command in (["false"], [str(tmp_path / "no-such-program")]):
        monkeypatch.setattr(beside, "child_command", lambda module, command=command: command)
        said = Announced()
        with watched(tmp_path / "lus", said):
            assert said.wait(60) and "goes on without it" in said.text

"""The page names every file and no price."""

import re

from tests.cluster.files import CLUSTER

PAGE = (CLUSTER / "README.md").read_text()
LAUNCHED = [path.name for pattern in ("*.yaml", "slurm.sh") for path in CLUSTER.glob(pattern)]


def test_every_launcher_file_has_its_row():
    assert sorted(LAUNCHED) == sorted(re.findall(r"^\| `([\w.]+)` \|", PAGE, re.MULTILINE))


def test_prices_are_looked_up_not_stated():
    assert not re.search(r"[$€£]\s?\d|\d\s?(USD|EUR|dollars|cents)", PAGE)


def test_each_way_says_how_to_start_watch_stop_and_what_it_costs():
    _, *ways = re.split(r"^## ", PAGE, flags=re.MULTILINE)
    assert len(ways) == 3
    for way in ways:
        for step in ("**Start**", "**Watch**", "**Stop**", "**Left running**"):
            assert step in way


def test_tensorboard_listens_on_the_node_itself_only():
    assert "tensorboard" in PAGE
    assert all("--host 127.0.0.1" in line for line in PAGE.splitlines() if "tensorboard --logdir" in line)

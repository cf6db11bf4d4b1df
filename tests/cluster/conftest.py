"""Three hosts that `ray up` has made a cluster of, for all tests that need them; the last takes it down."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from cluster.spot_notice import GCP
from tests.cluster.files import load
from tests.cluster.hosts import BORROWED, METADATA, Cluster, hosts_up
from tests.small_cohort import write_cohort

LISTENS = load("gcp.yaml")["worker_start_ray_commands"][-1]
"""The line of a spot node that waits for its cloud's notice."""


@pytest.fixture(scope="package")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Hosts 1 to 3, which all see a cohort of twelve patients; hosts 2 and 3 listen as spot nodes do."""
    folder = tmp_path_factory.mktemp("hosts")
    write_cohort(folder / "cohort")
    with hosts_up(folder):
        with (folder / "hosts").open("a") as names:
            names.write(f"{METADATA} {urlsplit(GCP).hostname}\n")
        cluster = Cluster(folder, "laptop", (1, 2, 3), BORROWED, (LISTENS,))
        with cluster.up() as seconds:
            print(f"\n{len(cluster.hosts)} hosts up {seconds:.0f} s after `ray up`")
            yield cluster

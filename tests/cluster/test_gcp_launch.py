"""What `ray up cluster/gcp.yaml` asks of Google Cloud, seen on a stand-in with a recorder in place of ssh."""

from __future__ import annotations

import itertools
import re
import tempfile
from contextlib import contextmanager

import pytest
from googleapiclient import discovery_cache
from googleapiclient.errors import HttpError
from ray.autoscaler._private.event_summarizer import EventSummarizer
from ray.autoscaler._private.gcp.node_provider import GCPNodeProvider
from ray.autoscaler._private.node_launcher import BaseNodeLauncher
from ray.autoscaler._private.node_provider_availability_tracker import NodeProviderAvailabilityTracker
from ray.autoscaler._private.providers import _clear_provider_cache
from ray.autoscaler._private.util import ConcurrentCounter

from tests.cluster.files import CLUSTER, load, prepared
from tests.cluster.google_cloud import google_cloud
from tests.cluster.launching import assert_ray_is_closed, launch_head

pytestmark = [pytest.mark.long, pytest.mark.slow, pytest.mark.xdist_group("gcp")]

PAGE = (CLUSTER / "README.md").read_text()
HEAD = load("gcp.yaml")["available_node_types"]["head"]["node_config"]
SUBNETWORK = HEAD["networkInterfaces"][0]["subnetwork"]
HEADS_ACCOUNT = "ray-autoscaler-sa-v1"


@contextmanager
def project(home, name="a-lab-of-its-own"):
    """An empty project without a network, a user's key to it, and a home folder with a token."""
    with google_cloud(name, home) as (cloud, documents, key), pytest.MonkeyPatch.context() as patch:
        patch.setattr(discovery_cache, "DISCOVERY_DOC_DIR", str(documents))
        patch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key))
        patch.setenv("HOME", str(home))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setattr(tempfile, "tempdir", str(home))
        patch.chdir(CLUSTER.parent)
        (home / ".ray").mkdir()
        (home / ".ray" / "auth_token").write_text("token")
        _clear_provider_cache()
        yield cloud
        _clear_provider_cache()


def resolved(cloud):
    """The file as `ray up` completes it, with the project named."""
    config = prepared("gcp.yaml")
    config["provider"]["project_id"] = cloud.project
    return GCPNodeProvider.bootstrap_config(config)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    with project(tmp_path_factory.mktemp("home")) as cloud:
        cloud.subnetworks.add(SUBNETWORK)
        yield cloud


@pytest.fixture(scope="module")
def launched(cloud):
    """The resolved file and the recorder after a first `ray up`, and its calls."""
    config = resolved(cloud)
    return config, launch_head(config), [name for name, _ in itertools.groupby(cloud.calls)]


def of_type(cloud, name):
    return [node for node in cloud.nodes.values() if node["labels"]["ray-user-node-type"] == name]


def test_every_call_is_one_that_google_describes(cloud, launched):
    print("\nup to the head:", ", ".join(launched[2]))
    assert cloud.faults == []


def test_ray_up_starts_one_standard_head_in_the_closed_network_and_no_gpu_node(cloud, launched):
    (head,) = cloud.nodes.values()
    assert head["labels"]["ray-user-node-type"] == "head"
    assert head["machineType"].endswith("/" + HEAD["machineType"]) and "scheduling" not in head
    (interface,) = head["networkInterfaces"]
    assert interface["subnetwork"] == SUBNETWORK and "network" not in interface


def test_the_page_names_what_a_first_contact_needs(cloud, launched):
    """The services that are called, and what Ray lets the head's account do."""
    services = {name.partition(".")[0] for name in launched[2]}
    (enabled,) = re.findall(r"gcloud services enable (.+)", PAGE)
    assert {name.removesuffix(".googleapis.com") for name in enabled.split()} == services
    (granted,) = {tuple(binding["members"]) for binding in cloud.policy["bindings"]}
    (account,) = of_type(cloud, "head")[0]["serviceAccounts"]
    assert granted == (f"serviceAccount:{account['email']}",)
    assert account["email"].partition("@")[0] == HEADS_ACCOUNT
    for name in (HEADS_ACCOUNT, *(binding["role"] for binding in cloud.policy["bindings"])):
        assert f"`{name}`" in PAGE


def test_a_second_contact_changes_no_right_and_no_key(cloud, launched):
    before = len(cloud.calls)
    launch_head(resolved(cloud))
    again = cloud.calls[before:]
    print("\nagain:", ", ".join(name for name, _ in itertools.groupby(again)))
    assert not [c for c in again if c.endswith((".create", ".insert", ".setIamPolicy", "InstanceMetadata"))]


def test_a_gpu_node_is_spot_in_the_same_network_and_holds_no_account(cloud, launched):
    """As the autoscaler on the head creates one, and sends it home."""
    config = launched[0]
    provider = GCPNodeProvider(config["provider"], config["cluster_name"])
    pending, tracker = ConcurrentCounter(), NodeProviderAvailabilityTracker()
    pending.inc("gpu", 1)
    launcher = BaseNodeLauncher(provider, pending, EventSummarizer(), tracker, session_name="session")
    before = len(cloud.calls)
    (name,) = launcher.launch_node(config, 1, "gpu")
    node = cloud.nodes[name]
    assert node["scheduling"]["provisioningModel"] == "SPOT"
    assert node["networkInterfaces"][0]["subnetwork"] == SUBNETWORK
    assert "serviceAccounts" not in node
    provider.terminate_node(name)
    print("\na GPU node:", ", ".join(name for name, _ in itertools.groupby(cloud.calls[before:])))
    assert not of_type(cloud, "gpu") and cloud.faults == []


def test_what_is_run_on_the_head(launched):
    recorder = launched[1]
    assert_ray_is_closed(recorder)
    assert all(" ubuntu@192.0.2.2 " in line for line in recorder.lines if line.startswith("ssh "))


def test_without_the_network_one_refusal_ends_it(tmp_path):
    """A subnetwork that is not there is refused here; Ray asks for no other node and no other place."""
    with project(tmp_path, "no-network-yet") as cloud:
        with pytest.raises(HttpError, match=SUBNETWORK):
            launch_head(resolved(cloud))
        assert cloud.calls.count("compute.instances.insert") == 1 and not cloud.nodes

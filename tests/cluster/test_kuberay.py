"""kuberay.yaml by hand against KubeRay's API reference: its published schema is not at hand offline."""

from __future__ import annotations

import json
import re
import shlex

import pytest
import ray
import yaml
from ray.autoscaler._private.kuberay.autoscaling_config import _derive_autoscaling_config_from_ray_cr

from learner_ray.engine.cluster_file import MOST_GPUS
from tests.cluster.files import CLUSTER

# The fields of https://ray-project.github.io/kuberay/reference/api/ (ray.io/v1) that a manifest may set.
FIELDS = {
    "RayJob": {"apiVersion", "kind", "metadata", "spec"},
    "RayJobSpec": {
        "activeDeadlineSeconds", "backoffLimit", "rayClusterSpec", "submitterPodTemplate", "metadata",
        "clusterSelector", "submitterConfig", "managedBy", "deletionStrategy", "entrypoint", "runtimeEnvYAML",
        "jobId", "submissionMode", "entrypointResources", "entrypointNumCpus", "entrypointNumGpus",
        "ttlSecondsAfterFinished", "shutdownAfterJobFinishes", "suspend",
    },
    "RayClusterSpec": {
        "suspend", "managedBy", "autoscalerOptions", "headServiceAnnotations", "enableInTreeAutoscaling",
        "gcsFaultToleranceOptions", "headGroupSpec", "rayVersion", "workerGroupSpecs", "authOptions",
    },
    "AuthOptions": {"mode", "secretName", "enableK8sTokenAuth"},
    "AutoscalerOptions": {
        "resources", "image", "imagePullPolicy", "securityContext", "idleTimeoutSeconds", "upscalingMode",
        "version", "env", "envFrom", "volumeMounts", "command", "args",
    },
    "HeadGroupSpec": {"template", "headService", "enableIngress", "rayStartParams", "serviceType"},
    "WorkerGroupSpec": {
        "suspend", "groupName", "replicas", "minReplicas", "maxReplicas", "idleTimeoutSeconds",
        "rayStartParams", "template", "scaleStrategy", "numOfHosts",
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def documents():
    return {d["kind"]: d for d in yaml.safe_load_all((CLUSTER / "kuberay.yaml").read_text())}


@pytest.fixture(scope="module")
def job(documents):
    return documents["RayJob"]["spec"]


@pytest.fixture(scope="module")
def cluster(job):
    return job["rayClusterSpec"]


def pods(job):
    cluster = job["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    return [group["template"] for group in groups]


def test_every_field_is_one_of_kuberay(documents, job, cluster):
    assert set(documents["RayJob"]) == FIELDS["RayJob"]
    assert documents["RayJob"]["apiVersion"] == "ray.io/v1"
    assert set(job) <= FIELDS["RayJobSpec"]
    assert set(cluster) <= FIELDS["RayClusterSpec"]
    assert set(cluster["authOptions"]) <= FIELDS["AuthOptions"]
    assert set(cluster["autoscalerOptions"]) <= FIELDS["AutoscalerOptions"]
    assert set(cluster["headGroupSpec"]) <= FIELDS["HeadGroupSpec"]
    assert all(set(group) <= FIELDS["WorkerGroupSpec"] for group in cluster["workerGroupSpecs"])


def test_start_parameters_are_text_and_head_holds_the_driver(cluster):
    parameters = cluster["headGroupSpec"]["rayStartParams"]
    assert all(isinstance(value, str) for value in parameters.values())
    # KubeRay writes the value into a shell line, which takes one layer of quotes off; its operator reads it
    # without the outer quotes, as JSON, and takes no backslashes in it.
    (written,) = shlex.split(parameters["resources"])
    assert json.loads(written) == json.loads(parameters["resources"].strip("'")) == {"driver": 100}


def test_the_autoscaler_reads_the_groups_as_they_are_meant(cluster):
    """Ray's own reader of what KubeRay hands it."""
    read = _derive_autoscaling_config_from_ray_cr(
        {"metadata": {"name": "learner-ray", "namespace": "default"}, "spec": cluster}
    )
    head, gpu = (read["available_node_types"][name] for name in ("headgroup", "gpu"))
    assert (
        head["resources"]["CPU"] == 2
        and head["resources"]["driver"] == 100
        and "GPU" not in head["resources"]
    )
    assert gpu["resources"]["GPU"] == 1 and "driver" not in gpu["resources"]
    assert (gpu["min_workers"], gpu["max_workers"], read["max_workers"]) == (0, 8, 8)
    assert read["idle_timeout_minutes"] == cluster["autoscalerOptions"]["idleTimeoutSeconds"] / 60


def test_token_on_telemetry_off_and_same_ray(job, cluster):
    assert cluster["authOptions"] == {"mode": "token"}
    assert cluster["rayVersion"] == ray.__version__
    for pod in pods(job):
        assert {"name": "RAY_USAGE_STATS_ENABLED", "value": "0"} in pod["spec"]["containers"][0]["env"]


def test_no_way_in_from_outside(documents, job, cluster):
    head = cluster["headGroupSpec"]
    assert head["serviceType"] == "ClusterIP" and not head.get("enableIngress")
    policy = documents["NetworkPolicy"]["spec"]
    assert policy["policyTypes"] == ["Ingress"]
    label = policy["podSelector"]["matchLabels"]
    for pod in [*pods(job), job["submitterPodTemplate"]]:
        assert label.items() <= pod["metadata"]["labels"].items()
    for rule in policy["ingress"]:
        assert rule["from"] and all(source["podSelector"]["matchLabels"] for source in rule["from"])


def test_gpu_pods_come_from_zero_and_go(job, cluster):
    assert job["shutdownAfterJobFinishes"] is True
    assert cluster["enableInTreeAutoscaling"] is True
    assert 0 < cluster["autoscalerOptions"]["idleTimeoutSeconds"] <= 900
    for group in cluster["workerGroupSpecs"]:
        assert group["minReplicas"] == group["replicas"] == 0 < group["maxReplicas"]
        assert group["template"]["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == 1
    head = pods(job)[0]["spec"]["containers"][0]
    assert "nvidia.com/gpu" not in head["resources"]["limits"]
    most = sum(group["maxReplicas"] for group in cluster["workerGroupSpecs"])
    assert {"name": MOST_GPUS, "value": str(most)} in head["env"]


def test_every_pod_sees_data_and_results_and_enough_shared_memory(documents, job):
    claim = documents["PersistentVolumeClaim"]
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    for pod in pods(job):
        volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
        mounts = {m["mountPath"]: volumes[m["name"]] for m in pod["spec"]["containers"][0]["volumeMounts"]}
        assert mounts["/shared"]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
        assert mounts["/dev/shm"]["emptyDir"]["medium"] == "Memory"
    for option in ("--data /shared/", "--out /shared/"):
        assert option in job["entrypoint"]


def test_pods_run_without_privilege(job, cluster):
    """Every container that the file names, and the autoscaler's, which KubeRay puts beside the head's."""
    containers = [c for pod in [*pods(job), job["submitterPodTemplate"]] for c in pod["spec"]["containers"]]
    for container in [*containers, cluster["autoscalerOptions"]]:
        assert container["securityContext"]["runAsNonRoot"] is True
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_image_is_the_pinned_project():
    text = (CLUSTER / "Dockerfile").read_text()
    assert (
        '/pip install --no-cache-dir --constraint constraints.txt "$@" .'
        in (CLUSTER / "image.sh").read_text()
    )
    assert "COPY . " not in text and text.index("USER ray") > text.index("RUN bash cluster/image.sh")


def test_both_images_hold_the_same_files_and_are_filled_by_one_step():
    docker, apptainer = ((CLUSTER / name).read_text() for name in ("Dockerfile", "apptainer.def"))
    copied = re.findall(r"^COPY (.+) \S+$", docker, re.M)
    files = [
        line.split()[0]
        for line in apptainer.partition("%files")[2].partition("%post")[0].splitlines()
        if line
    ]
    assert sorted(" ".join(copied).split()) == sorted(files)
    ignored = (CLUSTER.parent / ".dockerignore").read_text().splitlines()
    assert sorted(line[1:] for line in ignored if line.startswith("!")) == sorted(files)
    assert "cluster/image.sh" in apptainer and "cluster/image.sh" in docker

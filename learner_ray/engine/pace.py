"""How fast a study's devices train, measured on one of those that its runs would get."""

from __future__ import annotations

import logging

import ray

from learner_ray.core.errors import PlaceError, StorageError, UserError
from learner_ray.engine.autoscaled import NODE_STARTS_S
from learner_ray.engine.connection import Devices
from learner_ray.engine.faults import last_line
from learner_ray.engine.run_plan import resources_of
from learner_ray.run.spec import RunSpec
from learner_ray.run.throughput import Throughput, paced_as
from learner_ray.study.plan import Plan

logger = logging.getLogger(__name__)

NONE_UP = (
    "Hours are not known: no GPU is up, and --plan starts none. Type it again while one is: a sweep starts "
    "one before it trains. That the GPUs are fastest in bfloat16 is a guess, too."
)


def plan_throughput(plan: Plan, devices: Devices) -> dict[str, Throughput]:
    """Seconds per scan by :func:`paced_as`, the encoder and its views, measured on the first arm that
    pretrains so: in this process where the study would run on this machine, else on a device of the cluster
    that was joined.

    Raises:
        UserError: no device of the cluster became free.
        PlaceError: the training that was timed failed there.
    """
    measured: dict[str, Throughput] = {}
    for group in plan.groups:
        if group.config.pretrains and (pace := paced_as(group.config)) not in measured:
            measured[pace] = _measure(group.spec(group.config, final=False), devices)
    return measured


def _measure(spec: RunSpec, devices: Devices) -> Throughput:
    from learner_ray.training.throughput import measure_throughput

    return measure_throughput(spec) if devices.local else measure_on_cluster(spec, devices)


def measure_on_cluster(spec: RunSpec, devices: Devices, wait_s: float = NODE_STARTS_S) -> Throughput:
    """Measures where Ray places a process that asks for what a run does.

    Args:
        spec: the run that is trained for some epochs.
        devices: those of the cluster.
        wait_s: seconds to wait for a free device and the measurement; a node may have to start first.

    Raises:
        UserError: no device became free.
        PlaceError: the training failed.
    """
    from learner_ray.training.throughput import measure_throughput

    asked = resources_of(devices, share=1)
    kind = "GPU" if devices.gpus else "CPU"
    logger.info(f"Timing a few epochs on a {kind} of the cluster")
    # In a process of its own, which gives back the GPU's memory.
    task = ray.remote(num_cpus=asked["cpu"], num_gpus=asked.get("gpu", 0), max_calls=1, max_retries=0)
    timed = task(measure_throughput).remote(spec)
    try:
        measured: Throughput = ray.get(timed, timeout=wait_s)
    except ray.exceptions.GetTimeoutError:
        # Not by force, and not where it has ended: Ray 2.60 then ended this process now and then.
        ray.cancel(timed)
        raise UserError(
            f"no {kind} of the cluster was free to time a few epochs within {wait_s / 60:.0f} minutes: "
            "`ray status` says what takes them, or why none comes up"
        ) from None
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, UserError | StorageError | PlaceError):
            raise error.cause from None
        raise PlaceError(f"the epochs that were to be timed failed: {last_line(error)}") from error
    except ray.exceptions.RayError as error:
        raise PlaceError(f"the process that was to time epochs ended: {last_line(error)}") from error
    return measured


def devices_not_timed(devices: Devices) -> str:
    """Says which devices the study may get beside those of the kind that is timed; empty for none known."""
    if devices.local:
        return ""
    kind = "GPU" if devices.gpus else "CPU"
    said = []
    types = gpu_types() if devices.gpus else []
    if len(types) > 1:
        said.append(f"GPUs of several types are up ({', '.join(types)}); one of them was timed.")
    up, most = int(ray.cluster_resources().get(kind, 0)), devices.gpus or devices.cpus
    if up < most:
        said.append(
            f"{up} of up to {most} {kind}s are up; what the autoscaler brings may be of another type."
        )
    return " ".join(said)


def gpu_types() -> list[str]:
    """The types of the GPUs that are up, as Ray names them, such as ``H100``; in order of name."""
    up = (node["Resources"] for node in ray.nodes() if node["Alive"] and node["Resources"].get("GPU"))
    names = {key.partition(":")[2] for found in up for key in found if key.startswith("accelerator_type:")}
    return sorted(names)

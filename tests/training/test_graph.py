"""A recorded step computes what the step computes."""

from __future__ import annotations

import logging

import pytest
import torch

from learner_ray.core.components import LOSSES
from learner_ray.training.graph import WARM_UP_STEPS, CudaGraphs, GraphedStep, Recorder, Work
from learner_ray.training.step import StepInputs, TrainingStep
from tests.training.steps import config_of, make_inputs, make_step

SIZES = [4, 5, 4, 4, 4, 5, 5, 5, 4, 5]
"""Two shapes, each met more often than it is warmed up."""


class Repeats:
    """Stands for CUDA graphs on a CPU: recording runs nothing, and repeating runs the very call that was
    recorded, with the tensors that it was given."""

    def __init__(self, *, fails: bool = False) -> None:
        self.ran = self.recorded = self.repeated = 0
        self._fails = fails

    def run(self, work: Work) -> None:
        self.ran += 1
        work()

    def record(self, work: Work) -> Work:
        if self._fails:
            raise RuntimeError("operation not permitted when stream is capturing\nmore")
        self.recorded += 1

        def repeat() -> None:
            self.repeated += 1
            work()

        return repeat


def train(
    step: TrainingStep, recorder: Recorder | None, device: str = "cpu", sizes: list[int] = SIZES
) -> list[float]:
    graphed = GraphedStep(step, recorder)
    for number, inputs in enumerate(make_inputs(step, sizes, device)):
        graphed(inputs, torch.tensor(1e-3 / (1 + number), device=device))
    means = step.read_means(sum(sizes))
    return [*means.values(), *(float(p.double().sum()) for p in step.network.state_dict().values())]


def test_repeated_steps_are_the_steps_themselves() -> None:
    recorder, config = Repeats(), config_of(loss_name="contrastive", loss_weighting="balanced")
    assert train(make_step(config), recorder) == train(make_step(config), None)
    assert recorder.recorded == 2, "one for each shape"
    assert recorder.ran == 2 * WARM_UP_STEPS
    assert recorder.repeated == len(SIZES) - recorder.ran


def test_a_batch_is_copied_into_the_tensors_that_were_recorded() -> None:
    seen: list[tuple[StepInputs, int]] = []

    class Watched(TrainingStep):
        def __call__(self, inputs: StepInputs) -> None:
            seen.append((inputs, int(inputs.clips.sum())))

    step = make_step(config_of())
    step.__class__ = Watched
    batches = list(make_inputs(step, [4] * (WARM_UP_STEPS + 3)))
    graphed = GraphedStep(step, Repeats())
    for inputs in batches:
        graphed(inputs, torch.tensor(0.0))
    assert [total for _, total in seen] == [int(inputs.clips.sum()) for inputs in batches]
    held = seen[WARM_UP_STEPS][0]
    assert all(one is held for one, _ in seen[WARM_UP_STEPS:])


@pytest.mark.long
def test_steps_are_run_as_they_are_where_none_can_be_recorded(caplog: pytest.LogCaptureFixture) -> None:
    recorder = Repeats(fails=True)
    with caplog.at_level(logging.WARNING):
        found = train(make_step(config_of()), recorder)
    assert found == train(make_step(config_of()), None)
    assert recorder.ran == len(SIZES) and recorder.repeated == 0
    assert [record.getMessage() for record in caplog.records] == [
        "no CUDA graph (operation not permitted when stream is capturing): each step is launched kernel by "
        "kernel, more slowly"
    ]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("weighting", ["raw", "balanced"])
@pytest.mark.parametrize("loss", sorted(LOSSES.built_in))
def test_a_cuda_graph_gives_the_same_bits(
    loss: str, weighting: str, precision: str, caplog: pytest.LogCaptureFixture
) -> None:
    from learner_ray.training.process import make_deterministic

    make_deterministic(1)
    config = config_of(loss_name=loss, loss_weighting=weighting, train_precision=precision)
    graphs = CudaGraphs()
    found = train(make_step(config, "cuda"), graphs, "cuda")
    assert not caplog.records
    assert found == train(make_step(config, "cuda"), None, "cuda")

"""The trainers that ``step.py`` compares: each trains an epoch for every line it reads."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.plain_trainer import PlainTrainer
from learner_ray.core.config import Config
from learner_ray.core.sections import PixelSettings
from learner_ray.imaging.augmentation import augment
from learner_ray.imaging.sampling import frame_indices
from learner_ray.run.spec import Source
from learner_ray.training.data import Data, open_data
from learner_ray.training.precision import fastest_precision
from learner_ray.training.pretraining import Pretraining
from learner_ray.training.process import make_deterministic, training_device

WORKERS = 2
"""Of the plain trainer's DataLoader."""


class Ours:
    """The pretraining loop of this package."""

    def __init__(self, config: Config, data: Data, device: str) -> None:
        make_deterministic(torch.get_num_threads())
        self._pretraining = Pretraining(config, data, tuple(data.scans["patient"].unique()), device)

    def epoch(self) -> float:
        """Trains an epoch; seconds waited for frames."""
        self._pretraining.run_epoch()
        return self._pretraining.waited


class Clips(Dataset[tuple[Tensor, int]]):
    """Decodes a clip whenever it is asked for one."""

    def __init__(self, data: Data, config: Config) -> None:
        self._paths = [files[0] for files in data.scans["files"]]
        self._config = config

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        import decord

        size, frames = self._config.data.image_size, self._config.data.frames
        reader = decord.VideoReader(self._paths[index], width=size, height=size, num_threads=1)
        key = torch.randint(2**62, (1,))
        chosen = frame_indices(torch.tensor([len(reader)]), frames, key)[0].tolist()
        grey = torch.from_numpy(reader.get_batch(chosen).asnumpy()).float().mean(-1).to(torch.uint8)[None]
        mean, sd = grey.float().mean()[None], grey.float().std()[None]
        return augment(grey, mean, sd, key)[0], index


class Plain:
    """The plain trainer on clips that are decoded at every access, or were once."""

    def __init__(self, config: Config, data: Data, device: str, *, ready: bool) -> None:
        scores = torch.tensor(data.scans["score"].to_numpy(float)).float()
        patients = torch.tensor(data.scans["patient"].astype("category").cat.codes.tolist())
        order = torch.tensor(data.scans["order"].tolist())
        standardised = (scores - scores.mean()) / scores.std()
        self._trainer = PlainTrainer(config, standardised, patients, order, device)
        self._loader: Iterable[tuple[Tensor, Tensor]] = DataLoader(
            Clips(data, config),
            batch_size=config.train.batch_size,
            shuffle=True,
            num_workers=WORKERS,
            persistent_workers=True,
        )
        if ready:
            self._loader = list(self._loader)

    def epoch(self) -> float:
        """Trains an epoch; seconds waited for data."""
        waited = 0.0
        batches: Iterator[tuple[Tensor, Tensor]] = iter(self._loader)
        while True:
            begun = time.perf_counter()
            batch = next(batches, None)
            waited += time.perf_counter() - begun
            if batch is None:
                return waited
            self._trainer.step(*batch)


def main() -> None:
    name, options = sys.argv[1], json.loads(sys.argv[2])
    torch.set_num_threads(options["threads"])
    device = training_device()
    precision = fastest_precision(device)
    values = {
        "data.image_size": options["size"],
        "data.frames": options["frames"],
        "train.batch_size": options["batch"],
        "train.precision": precision,
        "train.epochs": 1000,
        "loss.name": "contrastive",
        "loss.weighted": True,
    }
    if name == "ours without shift":
        values["encoder.shift_fraction"] = 0.0
    config = Config().with_values(values)
    data = open_data(Source(path=options["manifest"]), PixelSettings(options["size"]))
    plain = name.startswith("plain")
    trainer = Plain(config, data, device, ready=name != "plain") if plain else Ours(config, data, device)
    images = len(data.scans) * options["frames"]
    gflop = 0.0
    if not plain:
        with FlopCounterMode(display=False) as counter:
            trainer.epoch()
        gflop = counter.get_total_flops() / images / 1e9
    print(json.dumps({"device": device, "precision": precision, "gflop": gflop}), flush=True)
    for _ in sys.stdin:
        waited = trainer.epoch()
        print(json.dumps({"waiting": waited, "images": images}), flush=True)


if __name__ == "__main__":
    main()

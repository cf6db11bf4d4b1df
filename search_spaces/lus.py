"""Lung ultrasound: clips with an S/F ratio."""

from learner_ray.core.config import Config, DataConfig, EncoderConfig, TrainConfig
from learner_ray.study.study import Study
from search_spaces._common import CONTROLS, DEFAULT_ARMS, LOSS_ARMS, NO_SHIFT, PAPER_ARMS, TWO_VIEWS, space

STUDY = Study(
    name="lus",
    modality="lus",
    base=Config(
        data=DataConfig(image_size=112, frames=8),
        encoder=EncoderConfig(shift_fraction=0.25),
        train=TrainConfig(epochs=40, lr=1e-3, batch_size=16),
    ),
    arms=(*PAPER_ARMS, NO_SHIFT, TWO_VIEWS, *LOSS_ARMS, *CONTROLS),
    default_arms=DEFAULT_ARMS,
    reference="mse",
    space=space,
    profiles={
        "laptop": {"data.image_size": 64, "data.frames": 4, "train.epochs": 8, "train.lr": 2e-3},
        "workstation": {"train.epochs": 25},
        "paper": {},
    },
)

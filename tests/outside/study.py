"""A study of a user who has installed outside-lung: it names what it takes from there, and imports
nothing."""

from learner_ray.core.config import Config
from learner_ray.study.study import Arm, Study, Suggest


def space(suggest: Suggest, config: Config) -> None:
    suggest.real("train.lr", 1e-4, 1e-2, log=True)
    if config.loss.name == "spread":
        suggest.real("loss.power", 0.5, 2.0)
    if config.encoder.name == "tiny_3d":
        suggest.choice("encoder.channels", (8, 16))


STUDY = Study(
    name="outside",
    modality="lus",
    base=Config().with_values({
        "progression.selection_metric": "sureness", "data.image_size": 32, "data.frames": 2,
    }),
    arms=(
        Arm(name="mse", label="MSE"),
        Arm(name="spread", label="MSE + spread", edits={"loss.name": "spread"}),
        Arm(name="volume", label="MSE, 3D encoder", edits={"encoder.name": "tiny_3d"}),
    ),
    default_arms=("mse", "spread", "volume"),
    reference="mse",
    space=space,
)  # fmt: skip

"""A configuration refuses what it cannot mean, and equal ones have equal text."""

import pytest

from learner_ray.core.config import Config, DataConfig, TrainConfig, all_keys, flatten
from learner_ray.core.errors import UserError


def test_a_dictionary_gives_the_same_configuration_back() -> None:
    config = Config().with_values({"loss.margin": 0.3, "encoder.norm": "group", "seed": 5})
    assert Config.from_dict(config.to_dict()) == config
    assert Config.from_dict(config.to_dict()).to_json() == config.to_json()


def test_every_key_is_known_by_its_dotted_name() -> None:
    own = {key for key, known in all_keys().items() if known.components}
    assert set(flatten(Config().to_dict())) == set(all_keys()) - own


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("loss.margins", "1"),
        ("train.lr", "fast"),
        ("train.lr", "-1"),
        ("train.epochs", "2.5"),
        ("train.epochs", 2.5),
        ("encoder.norm", "layer"),
        ("loss.weighted", "maybe"),
        ("data", "1"),
        ("train.epochs", "1e99"),
        ("train.epochs", float("inf")),
        ("data.image_size", "100000000"),
        ("data.frames", "0"),
        ("train.batch_size", "1"),
        ("seed", "nan"),
        *(
            (key, value)
            for key, known in all_keys().items()
            if known.type is float
            for value in ("nan", "inf", "-inf", "-1")
        ),
    ],
)
def test_a_wrong_key_or_value_names_itself(key: str, value: object) -> None:
    with pytest.raises(UserError, match=key.split(".")[-1]):
        Config().with_values({key: value})


def test_text_becomes_the_keys_type() -> None:
    config = Config().with_values(
        {"loss.name": "contrastive", "loss.weighted": "true", "train.lr": "1e-3", "train.epochs": "7"}
    )
    assert (config.loss.weighted, config.train.lr, config.train.epochs) == (True, 1e-3, 7)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1])
def test_a_study_files_own_numbers_are_checked_too(value: float) -> None:
    for make in (lambda: TrainConfig(lr=value), lambda: DataConfig(augment=value)):
        with pytest.raises(UserError):
            make()

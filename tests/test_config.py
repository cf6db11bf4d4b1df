"""A configuration refuses what it cannot mean, and equal ones have equal text."""

import pytest

from learner_ray.config import KEYS, Config, flatten
from learner_ray.errors import UserError


def test_a_dictionary_gives_the_same_configuration_back() -> None:
    config = Config().with_values({"objective.margin": 0.3, "model.norm": "group", "seed": 5})
    assert Config.from_dict(config.to_dict()) == config
    assert Config.from_dict(config.to_dict()).to_json() == config.to_json()


def test_every_key_is_known_by_its_dotted_name() -> None:
    assert set(flatten(Config().to_dict())) == set(KEYS)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("objective.margins", "1"),
        ("train.lr", "fast"),
        ("train.lr", "-1"),
        ("train.epochs", "2.5"),
        ("train.epochs", 2.5),
        ("model.norm", "layer"),
        ("objective.weighted", "maybe"),
        ("data", "1"),
    ],
)
def test_a_wrong_key_or_value_names_itself(key: str, value: object) -> None:
    with pytest.raises(UserError, match=key.split(".")[-1]):
        Config().with_values({key: value})


def test_text_becomes_the_keys_type() -> None:
    config = Config().with_values({"objective.weighted": "true", "train.lr": "1e-3", "train.epochs": "7"})
    assert (config.objective.weighted, config.train.lr, config.train.epochs) == (True, 1e-3, 7)

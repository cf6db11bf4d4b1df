"""The settings of each encoder that comes with the package, apart from PyTorch, so that they can be had at
once.

Every key is ``encoder.<field>`` in ``--set`` and in search spaces. An encoder of one's own has its dataclass
inside it: ``class Config(UnshiftedConfig)``, or another of these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from learner_ray.core.sections import EncoderConfig, require


@dataclass(frozen=True, kw_only=True)
class UnshiftedConfig(EncoderConfig):
    """Settings of an encoder that shifts nothing between frames."""

    shifts: ClassVar[bool] = False
    shift_fraction: float = 0.0
    """Fraction of the channels shifted in time, in total: none here."""


@dataclass(frozen=True, kw_only=True)
class VolumeConfig(UnshiftedConfig):
    """Settings of an encoder that looks at volumes: the T frames are slices, and their order is a depth."""

    volumetric: ClassVar[bool] = True


def _check_monai(config: EncoderConfig) -> None:
    require(
        config.weights != "imagenet",
        f"encoder.weights=imagenet: {config.name} has no ImageNet weights here; give the path of a state "
        "dict with its own names, or none, or use tsm_resnet18, tsm_resnet34 or tsm_resnet50",
    )


@dataclass(frozen=True, kw_only=True)
class MonaiConfig(EncoderConfig):
    """Settings of a MONAI network of residual blocks, which the temporal shift is put into."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_monai(self)


@dataclass(frozen=True, kw_only=True)
class MonaiEfficientNetConfig(MonaiConfig):
    """Settings of MONAI's EfficientNet, whose widths are no multiples of 32."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            self.norm != "group",
            f"encoder.norm=group: the channels of {self.name} cannot be divided into 32 groups; use batch, "
            "partial or frozen",
        )


@dataclass(frozen=True, kw_only=True)
class MonaiUnshiftedConfig(UnshiftedConfig):
    """Settings of a MONAI network without residual blocks: the features of its frames are averaged."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_monai(self)


@dataclass(frozen=True, kw_only=True)
class MonaiVolumeConfig(VolumeConfig):
    """Settings of a MONAI network of three dimensions."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_monai(self)

"""What every run does beside its configuration, as plain values that a report can quote.

``study.json`` keeps them: a report tells what was done, and not what the version that writes it would do.
Numbers are those of the code itself; what is said in words is held by tests/training/test_practice.py.
"""

from __future__ import annotations

from typing import Any

from learner_ray.core.described import described
from learner_ray.encoders import normalisation
from learner_ray.imaging import augmentation
from learner_ray.losses import weighting
from learner_ray.training import finetuning, step
from learner_ray.training.classifiers import CLASSIFIERS


def practice() -> dict[str, Any]:
    """How runs show scans, train and classify, by topic."""
    return {
        "frames": {
            "training": "one drawn at random from each of as many equal segments of the scan",
            "evaluation": "the centres of these segments",
            "geometry": "scaled to fit a square of that size and padded",
            "grey_values": "standardised by the mean and SD of the scan's foreground",
        },
        "encoder": {
            "shift": "half move one frame forward and half one back, at the entrance of every residual "
            "branch",
            "partial_norm": "batch normalisation of the first layer, constants elsewhere",
            "groups": normalisation.GROUPS,
        },
        "augmentation": {
            "rotation_degrees": augmentation.ROTATION_DEG,
            "scale": augmentation.SCALE,
            "translation": augmentation.TRANSLATION,
            "gain": augmentation.GAIN,
            "midtone": augmentation.MIDTONE,
            "noise": augmentation.NOISE,
            "frames": "alike in all frames of a scan, but for noise",
            "mirror": "left and right exchanged half of the time",
        },
        "training": {
            "score": "standardised by the mean and SD of the pretraining patients' scans",
            "score_head": "one linear layer on the embedding",
            "schedule": "rises linearly, then falls along a cosine to zero at the end of the schedule",
            "sgd_momentum": step.MOMENTUM,
            "decayed": "weights, not biases and normalisation",
            "balanced_decay": weighting.DECAY,
            "balanced_largest": weighting.LARGEST,
        },
        "classifier": {
            "heads": {name: described(cls) for name, cls in CLASSIFIERS.items() if name != "prior"},
            "penalty": "relative to the number of inputs",
            "inputs": "scaled to a mean squared length of one",
            "several_scans": "scans of the same view were compared where both visits had one, otherwise "
            "every "
            "scan with every other, and the probabilities averaged",
            "finetuning": f"AdamW with a cosine to zero, gradients clipped to {finetuning.CLIP:g}",
        },
    }

"""Whether exported encoders compute what ours do: every encoder, both forms.

    python benchmarks/exported.py [--encoders tsm_resnet18,tsm_resnet50] [--forms torchscript,onnx]

Untrained networks with random weights, 4 frames of 64 px, float32. Prints Markdown: the largest difference
relative to the largest number, and seconds to write and check.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from learner_ray.core.components import ENCODERS
from learner_ray.core.config import Config
from learner_ray.encoders.network import build_network
from learner_ray.run.provenance import git_sha, processor
from learner_ray.training.export import FORMS, Exported, compare
from learner_ray.training.pretraining import ScoreScale


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--encoders", default=",".join(ENCODERS.names))
    parser.add_argument("--forms", default=",".join(FORMS))
    args = parser.parse_args()
    print(f"{processor()}, torch {torch.__version__}, commit {git_sha()}\n")
    print("| encoder | form | embedding | score | s |\n|---|---|---|---|---|")
    for name in args.encoders.split(","):
        config = Config().with_values({"encoder.name": name})
        network = build_network(config.encoder, 4, seed=0)
        for form in args.forms.split(","):
            begun = time.monotonic()
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / f"encoder{FORMS[form].suffix}"
                found = compare(Exported(network, ScoreScale(300.0, 60.0)), FORMS[form], path, (4, 64, 64))
            seconds = time.monotonic() - begun
            row = [name, form, *(f"{value:.0e}" for value in found.values()), f"{seconds:.0f}"]
            print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()

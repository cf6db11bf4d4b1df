"""``python -m learner_ray.train`` is ``learner-ray train``."""

from learner_ray.cli.command import run_from_shell
from learner_ray.cli.train import main

__all__ = ["main"]

if __name__ == "__main__":
    run_from_shell(main)

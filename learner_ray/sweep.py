"""``python -m learner_ray.sweep`` is ``learner-ray sweep``."""

from learner_ray.cli.command import run_from_shell
from learner_ray.cli.sweep import main

__all__ = ["main"]

if __name__ == "__main__":
    run_from_shell(main)

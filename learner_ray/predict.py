"""``python -m learner_ray.predict`` is ``learner-ray predict``."""

from learner_ray.cli.command import run_from_shell
from learner_ray.cli.predict import main

__all__ = ["main"]

if __name__ == "__main__":
    run_from_shell(main)

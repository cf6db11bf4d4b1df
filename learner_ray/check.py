"""``python -m learner_ray.check`` is ``learner-ray check``."""

from learner_ray.cli.check import main
from learner_ray.cli.command import run_from_shell

__all__ = ["main"]

if __name__ == "__main__":
    run_from_shell(main)

"""``python -m learner_ray.cohort`` checks a cohort or begins one: a door to ``learner_ray.cli.cohort``."""

from learner_ray.cli.cohort import main, parser, report
from learner_ray.cli.command import run_from_shell

__all__ = ["main", "parser", "report"]

if __name__ == "__main__":
    run_from_shell(main)

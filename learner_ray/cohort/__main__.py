"""``python -m learner_ray.cohort``: check a cohort, or begin the manifest of one."""

import sys

from learner_ray.cli.cohort import main

if __name__ == "__main__":
    sys.exit(main())

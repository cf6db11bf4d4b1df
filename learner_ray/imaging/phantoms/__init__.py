"""Phantom cohorts: made-up patients, scanned again and again, for trying everything without data.

What follows the score is structure. Brightness does not, and patients differ by more than the disease changes
within one, as in life.
"""

from learner_ray.imaging.phantoms.cohort import phantom_cohort_path, write_phantom

__all__ = ["phantom_cohort_path", "write_phantom"]

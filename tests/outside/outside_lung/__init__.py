"""A package that extends learner_ray and is no part of it."""

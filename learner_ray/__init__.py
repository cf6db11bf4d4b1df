"""Distributed hyperparameter and ablation studies for longitudinal medical imaging."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("learner-ray")
except PackageNotFoundError:  # a checkout on the path of Python, not installed
    __version__ = "unknown"

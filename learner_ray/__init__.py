"""Distributed hyperparameter and ablation studies for longitudinal medical imaging."""

__version__ = "0.1.0"

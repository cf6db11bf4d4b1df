"""Recipes: base configuration, arms and search space of each modality."""

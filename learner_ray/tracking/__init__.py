"""Shows a study's runs elsewhere while it runs: TensorBoard's curves, and experiment trackers."""

"""Cluster files and the page that says how each starts."""

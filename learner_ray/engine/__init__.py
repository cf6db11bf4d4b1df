"""Runs a study on Ray. No other package imports it."""

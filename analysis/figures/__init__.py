"""Figures of a report, each with the numbers behind it. They share the captions of ``tables``."""

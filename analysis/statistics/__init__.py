"""What is computed from a study's results: metrics, intervals, tests, verdicts, and simulated studies."""

"""The HTML page of a report: verdicts, validity checks, methods, and whether the report is up to date."""

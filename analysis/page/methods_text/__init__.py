"""The Methods section of a report, one paragraph per topic, written from study.json alone."""

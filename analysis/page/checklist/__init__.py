"""The reporting checklists TRIPOD+AI and CLAIM 2024, answered item by item from a study's own records."""

"""The commands: they read options and print; all else is done elsewhere."""

"""What every other part stands on: configuration, components, seeds, errors and files."""

"""One run from pretraining to predictions, on one device or several. Knows no Ray."""

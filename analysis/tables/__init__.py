"""Tables of a report, how their numbers and captions are written, and their formats."""

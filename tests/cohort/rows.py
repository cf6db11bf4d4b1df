"""The rows of a manifest without a fault: one pair is better, one is same."""

VALID = [
    ("a1.mp4", "P1", "1", "300"),
    ("a2.mp4", "P1", "2", "325"),
    ("b1.mp4", "P2", "1", "300"),
    ("b2.mp4", "P2", "2", "280"),
]
COLUMNS = ("path", "patient", "visit", "score")

"""How much a scan may hold, unless the user says otherwise."""

DEFAULT_SCAN_GB = 2.0
"""GB of values, at 4 bytes each: 500 million voxels, where a head has 10 million. Reading takes six times as
much memory at most."""

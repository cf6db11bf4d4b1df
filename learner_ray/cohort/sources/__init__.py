"""Public data sets whose folders are recognised as they are distributed, one file each."""

"""What is wrong with one scan's file."""

from __future__ import annotations


class ScanError(Exception):
    """A file that cannot be read in full, with the reason in one line.

    Attributes:
        path: the file.
        reason: one line, without the path.
    """

    def __init__(self, path: str, reason: str) -> None:
        self.path = str(path)
        self.reason = " ".join(str(reason).split())
        super().__init__(f"{self.path}: {self.reason}")

    def __reduce__(self) -> tuple[type[ScanError], tuple[str, str]]:
        return type(self), (self.path, self.reason)

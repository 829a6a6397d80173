"""What a check finds: where, and how it shows."""

from typing import NamedTuple


class Finding(NamedTuple):
    """One thing that is not as it was signed, or that cannot be checked."""

    place: str
    reason: str

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}"


class Malformed(ValueError):
    """Something is not of the form that it claims to be."""

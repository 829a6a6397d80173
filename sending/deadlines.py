"""How long something may take in all, and each step of it. Pure, but for the clock."""

import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Deadline:
    """The end of the whole, of which every step takes at most its own time."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> "Deadline":
        return cls(time.monotonic() + seconds)

    def step(self, seconds: float) -> "Deadline":
        return Deadline(min(self.at, time.monotonic() + seconds))

    def remaining(self) -> float:
        left = self.at - time.monotonic()
        if left <= 0:
            raise TimeoutError("The remote server took too long.")
        return left

"""How many deliveries may be on the wire to each endpoint at once. Pure.

Every endpoint starts with a few. Each quick success makes room for one more, so that a good one
doubles its room with every answer's time; a slow answer halves it and a failure leaves one. What
hangs therefore holds few places, and what answers gets as many as it can use.
"""

from dataclasses import dataclass
from uuid import UUID

FIRST_ROOM = 4
LARGEST_ROOM = 64
# Slow ones still get this many, so that a receiver far away is not kept waiting for itself.
SMALLEST_ROOM_OF_SLOW = 2
QUICK_SECONDS = 1.0


@dataclass
class Window:
    endpoint_id: UUID
    size: int = FIRST_ROOM
    in_flight: int = 0

    @property
    def room(self) -> int:
        return max(self.size - self.in_flight, 0)


class Windows:
    """Those of the endpoints that one round has to do with."""

    def __init__(self) -> None:
        self._of: dict[UUID, Window] = {}

    def known(self) -> list[Window]:
        return list(self._of.values())

    def started(self, endpoint_id: UUID) -> None:
        self._of.setdefault(endpoint_id, Window(endpoint_id)).in_flight += 1

    def landed(self, endpoint_id: UUID, *, is_success: bool, seconds: float) -> None:
        window = self._of[endpoint_id]
        window.in_flight -= 1
        if not is_success:
            window.size = 1
        elif seconds <= QUICK_SECONDS:
            window.size = min(window.size + 1, LARGEST_ROOM)
        else:
            window.size = max(window.size // 2, SMALLEST_ROOM_OF_SLOW)

"""Notices whether anything was recorded while a request ran, so that it leaves one entry."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_recorded: ContextVar[list[str] | None] = ContextVar("recorded_events", default=None)


@contextmanager
def watched() -> Iterator[list[str]]:
    """Collect the events that are recorded inside."""
    events: list[str] = []
    token = _recorded.set(events)
    try:
        yield events
    finally:
        _recorded.reset(token)


def noticed(event: str) -> None:
    events = _recorded.get()
    if events is not None:
        events.append(event)

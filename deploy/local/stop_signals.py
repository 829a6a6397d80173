"""Ctrl-C, SIGTERM and a closed terminal all end a run in the same way."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def raise_on_stop_signals() -> Iterator[Callable[[], None]]:
    """Gives a function that makes further signals harmless, for while we are stopping."""
    before = {number: signal.signal(number, _raise) for number in STOP_SIGNALS}

    def ignore_further() -> None:
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)

    try:
        yield ignore_further
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _raise(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt

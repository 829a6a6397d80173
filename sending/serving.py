"""Runs SMTP listeners as a process of their own, until it is told to end."""

import asyncio
import signal
from collections.abc import Sequence

from sending.smtp_server import Listener


async def until_told(listeners: Sequence[Listener], stopped: asyncio.Event) -> None:
    """What is being taken when the signal comes is answered first."""
    await stopped.wait()
    await asyncio.gather(*(listener.stop() for listener in listeners))


def on_signals() -> asyncio.Event:
    """Set by SIGTERM and SIGINT."""
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    return stopped

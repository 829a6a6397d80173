"""Runs our SMTP server on a free loopback port, in a thread with a loop of its own."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from django.db import connections

from sending import smtp_server
from sending.mailrooms import Mailroom, Port
from sending.smtp_server import Listener
from sending.submission_port import SubmissionMailroom


@contextmanager
def running(port: Port, mailroom: Mailroom) -> Iterator[int]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    listening = smtp_server.listen(port, mailroom, host="127.0.0.1", number=0)
    listener = asyncio.run_coroutine_threadsafe(listening, loop).result(5)
    try:
        yield listener.number
    finally:
        asyncio.run_coroutine_threadsafe(_shut(listener), loop).result(15)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        loop.close()


async def _shut(listener: Listener) -> None:
    await listener.stop()
    await asyncio.sleep(0.01)
    await asyncio.get_running_loop().shutdown_default_executor()


@contextmanager
def submitting(port: Port) -> Iterator[int]:
    """The submission mailroom behind a port, with one thread that asks the database."""
    with ThreadPoolExecutor(1) as executor:
        with running(port, SubmissionMailroom(executor)) as number:
            yield number
        executor.submit(connections.close_all).result()

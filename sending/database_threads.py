"""Work with the database for SMTP sessions. Django is synchronous: it runs in threads."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar

from django.db import DatabaseError, close_old_connections

UNAVAILABLE = "451 4.3.0 The service cannot answer right now; try again"

logger = logging.getLogger(__name__)
Result = TypeVar("Result")


async def in_thread(executor: Executor, work: Callable[[], Result]) -> Result | str:
    """The result, or the reply that asks the client to come again."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(executor, lambda: _with_database(work))


def _with_database(work: Callable[[], Result]) -> Result | str:
    """A thread keeps its connection; a broken one is replaced and the client comes again."""
    close_old_connections()
    try:
        return work()
    except DatabaseError:
        logger.exception("The database failed an SMTP session.")
        return UNAVAILABLE
    finally:
        close_old_connections()

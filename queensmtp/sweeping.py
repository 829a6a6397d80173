"""The loop in each worker that looks for due work in Postgres, whatever Valkey remembers."""

import logging
import threading

from celery import current_app
from django.db import close_old_connections, connection

logger = logging.getLogger(__name__)


def sweep_forever(task: str, seconds: float) -> None:
    """Run a task in this thread every so many seconds, until the process ends."""
    pause = threading.Event()
    current_app.loader.import_default_modules()
    while True:
        sweep_once(task)
        pause.wait(seconds)


def sweep_once(task: str) -> None:
    """Run a task here and now. A failure is recorded; the next sweep tries again."""
    close_old_connections()
    try:
        current_app.tasks[task]()
    except Exception:
        logger.exception("sweep_failed", extra={"task": task})
        connection.close()

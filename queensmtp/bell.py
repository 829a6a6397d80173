"""Rings a worker after commit. Postgres holds the work; losing a ring costs a few seconds.

Rings are coalesced: while one is in the air for a task, further ones are dropped. The worker
takes the mark away before it looks for work, so that what comes later rings again. Requests that
are handled together ring once, behind their answers.
"""

import logging

import redis
from celery import current_app
from django.db import transaction

from queensmtp import together, valkey

IN_THE_AIR_MILLISECONDS = 1_000

logger = logging.getLogger(__name__)


def ring(task: str, *, queue: str) -> None:
    """Wake the workers of a queue once the transaction has committed. Never raises."""
    transaction.on_commit(
        lambda: together.afterwards(("bell", task), lambda: _ring_now(task, queue))
    )


def heard(task: str) -> None:
    """Called by the task before it looks for work."""
    try:
        valkey.ask(lambda client: client.delete(_mark(task)))
    except valkey.ValkeyDown:
        return


def _ring_now(task: str, queue: str) -> None:
    try:
        first = valkey.ask(lambda client: _put_mark(client, task))
        if first:
            valkey.ask(lambda _: current_app.send_task(task, queue=queue, retry=False))
    except Exception as error:  # noqa: BLE001 - the work is committed; the sweep will find it
        logger.warning("bell_not_rung", extra={"task": task, "error": type(error).__name__})


def _put_mark(client: redis.Redis, task: str) -> bool:
    return bool(client.set(_mark(task), 1, nx=True, px=IN_THE_AIR_MILLISECONDS))


def _mark(task: str) -> str:
    return f"bell:{task}"

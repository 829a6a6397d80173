"""The connection to Valkey or Redis, which is allowed to be gone.

Nothing is lost without it: it rings bells, counts rates and caches. After a failure it is left
alone for a second, so that a dead server costs a request nothing but its first attempt.
"""

import logging
import time
from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

import redis
from django.conf import settings

TIMEOUT_SECONDS = 0.25
REST_SECONDS = 1.0

Answer = TypeVar("Answer")
logger = logging.getLogger(__name__)


class ValkeyDown(Exception):
    """Valkey did not answer, or did not a moment ago."""


class _Breaker:
    closed_until = 0.0


@lru_cache(maxsize=1)
def client() -> redis.Redis:
    """One pooled client per process."""
    return redis.from_url(
        settings.REDIS_URL,
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
        retry=None,
    )


def ask(question: Callable[[redis.Redis], Answer]) -> Answer:
    """Ask Valkey; ValkeyDown when it does not answer."""
    if time.monotonic() < _Breaker.closed_until:
        raise ValkeyDown("Valkey did not answer a moment ago")
    try:
        return question(client())
    except redis.RedisError as error:
        _Breaker.closed_until = time.monotonic() + REST_SECONDS
        logger.warning("valkey_down", extra={"error": type(error).__name__})
        raise ValkeyDown(str(error)) from None

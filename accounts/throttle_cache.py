from collections.abc import Callable
from typing import Any

from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache
from redis.exceptions import RedisError


class ThrottleCache(RedisCache):
    """The cache in which sign-in tries are counted.

    While Valkey does not answer, each process counts for itself: the limit gets looser by the
    number of processes, and never goes away. People can still sign in.
    """

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._own = LocMemCache("throttle", params)

    def add(self, key: str, *args: Any, **kwargs: Any) -> bool:
        return bool(self._try("add", key, *args, **kwargs))

    def get(self, key: str, *args: Any, **kwargs: Any) -> Any:
        return self._try("get", key, *args, **kwargs)

    def set(self, key: str, *args: Any, **kwargs: Any) -> None:
        self._try("set", key, *args, **kwargs)

    def delete(self, key: str, *args: Any, **kwargs: Any) -> bool:
        return bool(self._try("delete", key, *args, **kwargs))

    def _try(self, name: str, *args: Any, **kwargs: Any) -> Any:
        shared: Callable[..., Any] = getattr(super(), name)
        try:
            return shared(*args, **kwargs)
        except (RedisError, OSError):
            return getattr(self._own, name)(*args, **kwargs)

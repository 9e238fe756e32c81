"""A database of a Redis server that nobody uses, for the length of a measurement."""

from __future__ import annotations

import os

from redis import Redis
from redis.exceptions import RedisError

from bench.driver import NotMeasured, redis_url

PREFIX = "bgjobs-bench:"
_OURS = f"{PREFIX}claimed"
_PATTERNS = (f"{PREFIX}*", "rq:*")  # RQ has no prefix to choose


class RedisDatabase:
    """Claims an empty database and empties it again, key by key: what others put there stays."""

    def __init__(self) -> None:
        for number in range(15, 0, -1):
            self.url = f"{redis_url()}/{number}"
            self.connection = Redis.from_url(self.url, socket_connect_timeout=2)
            try:
                if self.connection.dbsize() == 0 and self.connection.set(_OURS, os.getpid(), nx=True):
                    return
            except RedisError as error:
                raise NotMeasured(f"no Redis answers at {redis_url()} ({type(error).__name__})") from error
        raise NotMeasured(f"every database of the Redis at {redis_url()} is in use")

    def release(self) -> None:
        for pattern in _PATTERNS:
            for key in self.connection.scan_iter(pattern, count=1000):
                self.connection.delete(key)
        self.connection.close()

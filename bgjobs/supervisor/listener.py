"""Listens on PostgreSQL for what other hosts commit. A hint only: a supervisor looks by itself as well."""

from __future__ import annotations

import contextlib
import selectors
import time
from collections.abc import Callable
from typing import Any

from sqlalchemy.engine import URL

from bgjobs.notify import CHANNEL
from bgjobs.servers import connect_arguments

_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0
# A supervisor does nothing else meanwhile.
_CONNECTS_WITHIN = 2


class Listener:
    """A connection of its own that hears what is rung at commits (:mod:`bgjobs.notify`) and calls back.

    It is opened by :meth:`keep_up`, and again when it was lost, after a while that grows as long as that fails. On
    other databases, or without the driver ``psycopg``, it does nothing.
    """

    def __init__(self, url: URL, selector: selectors.BaseSelector, on_ring: Callable[[], None]) -> None:
        self._url = url
        self._selector = selector
        self._on_ring = on_ring
        self._connection: Any = None
        self._descriptor = -1
        self._pause = _FIRST_PAUSE
        self._connect_at = time.monotonic() if _can_listen(url) else float("inf")

    @property
    def is_open(self) -> bool:
        return self._connection is not None

    def keep_up(self) -> None:
        """Open the connection where there is none. Call it about once a second."""
        if self._connection is None and time.monotonic() >= self._connect_at:
            self._open()

    def close(self) -> None:
        """Listen no more."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            self._selector.unregister(self._descriptor)
            connection.close()

    def _open(self) -> None:
        import psycopg

        arguments, options = _arguments_of(self._url)
        try:
            connection = psycopg.connect(*arguments, **options, autocommit=True)
            connection.execute(f"LISTEN {CHANNEL}")
        except psycopg.Error:
            self._try_later()
            return
        self._connection, self._pause = connection, _FIRST_PAUSE
        self._descriptor = connection.fileno()  # of a connection that is lost it cannot be asked any more
        self._selector.register(self._descriptor, selectors.EVENT_READ, self._hear)
        self._on_ring()  # what was rung before we listened

    def _hear(self) -> None:
        """Take in what has come: below the level of the driver, where nothing waits."""
        import psycopg

        server = self._connection.pgconn
        try:
            server.consume_input()
        except psycopg.Error:
            self.close()
            self._try_later()
            return
        rung = False
        while server.notifies() is not None:
            rung = True
        if rung:
            self._on_ring()

    def _try_later(self) -> None:
        self._connect_at = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)


def _can_listen(url: URL) -> bool:
    if url.get_backend_name() != "postgresql":
        return False
    with contextlib.suppress(ImportError):
        import psycopg

        return psycopg is not None
    return False


def _arguments_of(url: URL) -> tuple[Any, dict[str, Any]]:
    """How psycopg is told of the database, whatever driver the application uses for it."""
    url = url.set(drivername="postgresql+psycopg")
    arguments, options = url.get_dialect()().create_connect_args(url)
    return arguments, {**connect_arguments(url), **options, "connect_timeout": _CONNECTS_WITHIN}

"""A connection between a host and its database that a test can cut."""

from __future__ import annotations

import selectors
import socket
import threading
import time
from typing import Literal

State = Literal["up", "cut", "refusing"]


class Relay:
    """Passes on what comes in at ``port``. ``cut``: nothing passes, and nobody is told. ``refusing``: connections
    are closed, as those of a server that is not running."""

    def __init__(self, host: str, port: int, *, entrance: str = "127.0.0.1") -> None:
        self._server = host, port
        self._entrance = socket.create_server((entrance, 0))
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._entrance, selectors.EVENT_READ)
        self._other: dict[socket.socket, socket.socket] = {}
        self._state: State = "up"
        self._closed = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._entrance.getsockname()[1])

    def set(self, state: State) -> None:
        with self._lock:
            self._state = state
            if state == "refusing":
                self._drop_all()

    def close(self) -> None:
        self._closed = True
        self._thread.join()
        self._drop_all()
        self._selector.close()
        self._entrance.close()

    def _work(self) -> None:
        while not self._closed:
            ready = self._selector.select(0.02)
            with self._lock:
                is_cut = self._state == "cut"
                for key, _ in [] if is_cut else ready:
                    self._serve(key.fileobj)  # type: ignore[arg-type]
            if is_cut:
                time.sleep(0.02)  # what is not passed on stays readable

    def _serve(self, end: socket.socket) -> None:
        if end is self._entrance:
            self._accept()
        elif end in self._other:  # else its other end was dropped in this round
            try:
                data = end.recv(65536)
                self._other[end].sendall(data)
            except OSError:
                data = b""
            if not data:
                self._drop(end)

    def _accept(self) -> None:
        end, _ = self._entrance.accept()
        if self._state == "refusing":
            end.close()
            return
        other = socket.create_connection(self._server)
        for one, two in ((end, other), (other, end)):
            self._other[one] = two
            self._selector.register(one, selectors.EVENT_READ)

    def _drop_all(self) -> None:
        while self._other:
            self._drop(next(iter(self._other)))

    def _drop(self, end: socket.socket) -> None:
        for one in (end, self._other[end]):
            del self._other[one]
            self._selector.unregister(one)
            one.close()

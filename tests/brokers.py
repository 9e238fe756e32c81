"""The brokers that the celery backend is tested on: a Redis server of our own, and a virtual host in the RabbitMQ
that runs on this computer (``BGJOBS_TEST_RABBITMQ``, as a URL without a virtual host)."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

RABBITMQ = os.environ.get("BGJOBS_TEST_RABBITMQ", "amqp://guest:guest@127.0.0.1:5672")
BROKERS = ("redis", "rabbitmq")
_COMES_WITHIN = 20.0


def missing(broker: str) -> str | None:
    """What it lacks to be tested here; None where nothing does."""
    if broker == "redis":
        return None if shutil.which("redis-server") else "there is no redis-server"
    if shutil.which("rabbitmqctl") is None:
        return "there is no rabbitmqctl, which makes a virtual host"
    address = urlsplit(RABBITMQ)
    with suppress(OSError), socket.create_connection((address.hostname, address.port), 2):
        return None
    return f"RabbitMQ does not answer at {address.hostname}:{address.port}"


class Redis:
    """A Redis server of our own, which forgets everything when it ends."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._port}/0"

    def start(self) -> None:
        with open(self._folder / "redis.log", "ab") as log:
            self._process = subprocess.Popen(
                [
                    "redis-server",
                    "--bind",
                    "127.0.0.1",
                    "--port",
                    str(self._port),
                    "--save",
                    "",
                    "--appendonly",
                    "no",
                ],
                cwd=self._folder,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + _COMES_WITHIN
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self._port), 1):
                return
            assert time.monotonic() < deadline, (self._folder / "redis.log").read_text()
            time.sleep(0.01)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process = None


@contextmanager
def own_redis(port: int) -> Iterator[Redis]:
    """A Redis server on a free port, for as long as the block lasts."""
    with tempfile.TemporaryDirectory(prefix="bgjobs-redis-") as folder:
        server = Redis(Path(folder), port)
        server.start()
        try:
            yield server
        finally:
            server.kill()


@contextmanager
def own_virtual_host(purpose: str) -> Iterator[str]:
    """The URL of a virtual host of our own in the RabbitMQ server."""
    name = f"bgjobs_test_{os.getpid()}_{purpose}"
    user = urlsplit(RABBITMQ).username or "guest"
    _rabbitmqctl("add_vhost", name)
    try:
        _rabbitmqctl("set_permissions", "-p", name, user, ".*", ".*", ".*")
        yield f"{RABBITMQ}/{name}"
    finally:
        _rabbitmqctl("delete_vhost", name)


def _rabbitmqctl(*arguments: str) -> None:
    done = subprocess.run(["rabbitmqctl", "--quiet", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@contextmanager
def own_broker(broker: str, purpose: str, port: Callable[[], int]) -> Iterator[str]:
    """The URL of a broker in which nobody else has anything."""
    if broker == "redis":
        with own_redis(port()) as server:
            yield server.url
    else:
        with own_virtual_host(purpose) as url:
            yield url

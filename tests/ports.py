"""Free ports that nobody else takes before the server that is to have them."""

from __future__ import annotations

import os
import socket
from itertools import count

# Below the ports that the kernel gives out by itself (32768 and up on Linux), and a range for each test worker.
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_ports = count(20_000 + 1_000 * _WORKER + os.getpid() % 500)


def free_port() -> int:
    """A port of 127.0.0.1 on which nobody listens."""
    for port in _ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("unreachable")

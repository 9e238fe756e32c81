"""Addresses of the sockets in the state folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def address_in(folder: str, name: str) -> Iterator[str]:
    """The address of the socket. A Unix address has 108 bytes at most, and folders are longer than that;
    on Linux the folder's descriptor stands for it, however long its name is."""
    if sys.platform != "linux":
        yield os.path.join(folder, name)
        return
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{name}"
    finally:
        os.close(descriptor)

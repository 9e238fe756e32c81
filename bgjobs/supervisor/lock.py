"""The lock that makes the supervisor the only one."""

from __future__ import annotations

import contextlib
import fcntl
import os


class FileLock:
    """An exclusive ``flock`` on a file. The kernel frees it when the last holder of the descriptor dies."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.descriptor: int | None = None

    @classmethod
    def inherited(cls, path: str, descriptor: int) -> FileLock:
        """A lock that the starter of this process took for it."""
        lock = cls(path)
        lock.descriptor = descriptor
        return lock

    def acquire(self) -> bool:
        """Take the lock if it is free."""
        # O_NOFOLLOW: a link put there by somebody else must not make us create or lock another file.
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self._path, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self.descriptor = descriptor
        return True

    def release(self) -> None:
        """Free the lock. The file stays: deleting it would let two processes lock two files."""
        if self.descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(self.descriptor)
            self.descriptor = None

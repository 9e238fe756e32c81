"""What database drivers raise, as errors of our own that say what to look at."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.engine import URL
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from bgjobs.exceptions import BackendUnavailable, DatabaseDamaged, Deadlock


@contextmanager
def answering(url: URL) -> Iterator[None]:
    """Driver errors of the block as :class:`BackendUnavailable`, which says what to look at.

    A value that the database does not take is another thing, and comes through as it is.
    """
    try:
        yield
    except (DataError, IntegrityError, ProgrammingError):
        raise
    except (sqlite3.DataError, sqlite3.IntegrityError, sqlite3.ProgrammingError):
        raise
    except (DBAPIError, PoolTimeout, sqlite3.DatabaseError) as error:
        reason = error.orig if isinstance(error, DBAPIError) else error
        if _tells_of_damage(reason):
            raise DatabaseDamaged(
                f"The database {url.render_as_string()} is damaged: {reason}. Nothing was changed. Stop what uses "
                "it, then restore a backup, or save what can be read with the .recover command of sqlite3."
            ) from error
        kind = Deadlock if _tells_of_deadlock(reason) else BackendUnavailable
        raise kind(
            f"The database {url.render_as_string()} did not do as asked: {reason}. "
            "Nothing was changed. Look whether it is there, writable and not locked by another program."
        ) from error


def _tells_of_damage(reason: BaseException | None) -> bool:
    # The low byte is the kind of error, the others say more of it (sqlite.org/rescode.html).
    kind = getattr(reason, "sqlite_errorcode", 0) & 0xFF
    return kind in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _tells_of_deadlock(reason: BaseException | None) -> bool:
    """PostgreSQL's state, MariaDB's number."""
    return getattr(reason, "sqlstate", None) == "40P01" or bool(reason and reason.args and reason.args[0] == 1213)

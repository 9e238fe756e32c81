"""Dispatch inside the caller's own database transaction, and the one case in which it must not be outside.

The row and its log records go through the caller's session: a commit keeps them, a rollback (also of a
savepoint) removes them. Only the ring of the doorbell hangs on an event of the session, and that is a hint:
a supervisor looks at the table by itself.
"""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, SessionTransaction, scoped_session

from bgjobs import lookups
from bgjobs.app_state import AppState
from bgjobs.custom_logger import LogEntry, console
from bgjobs.database import answering
from bgjobs.exceptions import ConfigurationError, EnqueueWouldDeadlock, JobRunnerException
from bgjobs.store import Changes, NewJob

_WAITING = "bgjobs_waiting_for_the_commit"
# Seconds to see whether the write lock is held for long, when it may be the caller who holds it.
_PATIENCE = 0.03


def enqueue_in_session(state: AppState, session: Session | scoped_session[Any], job: NewJob) -> int:
    """Insert the job through ``session`` and return its id.

    Raises :class:`ConfigurationError` when the session belongs to another database than the jobs.
    """
    real = session() if isinstance(session, scoped_session) else session
    if not state.shares_the_database:
        raise ConfigurationError(
            "session= stores the job in the transaction of the application's database, but the jobs are in "
            "another one (BGJOBS_DATABASE_URI). Leave out session=, or let both be the same database."
        )
    with answering(state.database_url):
        connection = real.connection()
        state.store.database.ensure_schema_on(connection)
        changes = Changes(connection, state.redactor)
        job_id = changes.enqueue(job, max_pending=state.settings.max_pending)
        changes.write_logs()
    _announce_after_commit(state, real, job_id, changes.entries)
    return job_id


def refuse_to_wait_for_oneself(state: AppState) -> None:
    """Raise :class:`EnqueueWouldDeadlock` when the caller's session holds SQLite's write lock.

    Only one connection can write at a time. A dispatch in a transaction of its own would wait for the
    caller's, which waits for the dispatch to return.
    """
    if state.db is None or not state.shares_the_database or not state.store.database.is_sqlite:
        return
    registry = state.db.session.registry
    if not registry.has() or not registry().in_transaction():
        return
    driver = state.db.session.connection().connection.dbapi_connection
    # The driver begins a transaction before the first write, so this is a writer, unless the application
    # begins its transactions itself: then only a try can tell.
    if getattr(driver, "in_transaction", False) and not _lock_comes_free(state):
        raise EnqueueWouldDeadlock


def _lock_comes_free(state: AppState) -> bool:
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            with state.store.database.writing_at_once():
                return True
        except OperationalError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.005)


def _announce_after_commit(state: AppState, session: Session, job_id: int, entries: list[LogEntry]) -> None:
    waiting = session.info.setdefault(_WAITING, [])
    if not waiting:
        # after_commit also fires for a savepoint; the end of the outermost transaction says it all.
        event.listen(session, "after_transaction_end", _announce)
    waiting.append((state, job_id, entries))


def _announce(session: Session, transaction: SessionTransaction) -> None:
    if transaction.parent is not None:
        return
    event.remove(session, "after_transaction_end", _announce)
    for state, job_id, entries in session.info.pop(_WAITING, []):
        try:
            with state.store.database.reading() as connection:
                committed = lookups.existing(connection, [job_id])
            if committed:
                state.store.logger.write(entries)
                state.backend.dispatched([job_id])
        except JobRunnerException as error:
            # The caller's commit is done and must not seem to fail; the job is found by the next look.
            console.warning("Job %s is stored, but nobody could be told: %s", job_id, error)

"""Dispatch inside the caller's own database transaction, and the one case in which it must not be outside.

The row and its log records go through the caller's session: a commit keeps them, a rollback (also of a
savepoint) removes them. Only the ring of the doorbell hangs on an event of the session, and that is a hint:
a supervisor looks at the table by itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import event
from sqlalchemy.exc import UnboundExecutionError
from sqlalchemy.orm import Session, SessionTransaction, scoped_session

from bgjobs import lookups
from bgjobs.app_state import AppState
from bgjobs.custom_logger import LogEntry, console
from bgjobs.database import same_database
from bgjobs.database_errors import answering
from bgjobs.exceptions import ConfigurationError, EnqueueWouldDeadlock, InvalidParameters, JobRunnerException
from bgjobs.fail_points import ARMED, reach
from bgjobs.store import Changes, NewJob

_WAITING = "bgjobs_waiting_for_the_commit"
# Seconds to see whether the write lock is held for long, when it may be the caller who holds it.
_PATIENCE = 0.03


def enqueue_in_session(
    state: AppState, session: Session | scoped_session[Any], jobs: Sequence[NewJob]
) -> list[int]:
    """Insert the jobs through ``session`` and return their ids.

    Raises :class:`ConfigurationError` when the session belongs to another database than the jobs.
    """
    real = session() if isinstance(session, scoped_session) else session
    if not isinstance(real, Session):
        raise InvalidParameters("must be an SQLAlchemy session, such as db.session", path="session")
    _check_database(state, real)
    with answering(state.database_url):
        connection = real.connection()
        state.store.database.ensure_schema_on(connection)
        changes = Changes(connection, state.redactor)
        job_ids = changes.enqueue_all(jobs, max_pending=state.settings.max_pending)
        changes.write_logs()
        if ARMED:
            reach("enqueue.before_commit")
    _announce_after_commit(state, real, job_ids, changes.entries)
    return job_ids


def refuse_to_wait_for_oneself(state: AppState) -> None:
    """Raise :class:`EnqueueWouldDeadlock` when the caller's session holds SQLite's write lock.

    Only one connection can write at a time. A dispatch in a transaction of its own would wait for the
    caller's, which waits for the dispatch to return.
    """
    if state.db is None or not state.shares_the_database or not state.store.database.is_sqlite:
        return
    registry = state.db.session.registry
    # After a failed flush a session is not active: it holds nothing any more, and refuses every question.
    if not registry.has() or not registry().in_transaction() or not registry().is_active:
        return
    driver = state.db.session.connection().connection.dbapi_connection
    # The driver begins a transaction before the first write, so this is a writer, unless the application
    # begins its transactions itself: then only a try can tell.
    if getattr(driver, "in_transaction", False) and not _lock_comes_free(state):
        raise EnqueueWouldDeadlock


def tell(backend: Callable[..., None], *arguments: Any) -> None:
    """Tell the backend of what is committed. It is found without that, so nothing may seem to have failed."""
    try:
        backend(*arguments)
    except (JobRunnerException, OSError) as error:
        console.warning("What was stored is safe, but nobody could be told of it yet: %s", error)


def _check_database(state: AppState, session: Session) -> None:
    try:
        url = session.get_bind().engine.url
    except UnboundExecutionError as error:
        raise ConfigurationError("The session given as session= is bound to no database. Bind it.") from error
    if not same_database(url, state.database_url):
        raise ConfigurationError(
            "session= stores the job in the transaction of that session, but the jobs are in another database "
            f"({state.database_url.render_as_string()}). Leave out session=, or let both be the same database "
            "(BGJOBS_DATABASE_URI)."
        )


def _lock_comes_free(state: AppState) -> bool:
    deadline = time.monotonic() + _PATIENCE
    while state.store.database.is_locked():
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.005)
    return True


def _announce_after_commit(state: AppState, session: Session, job_ids: list[int], entries: list[LogEntry]) -> None:
    # after_commit also fires for a savepoint; the end of the outermost transaction says it all. The listener
    # stays: it cannot be removed while it is being called.
    if not event.contains(session, "after_transaction_end", _announce):
        event.listen(session, "after_transaction_end", _announce)
    session.info.setdefault(_WAITING, []).append((state, job_ids, entries))


def _announce(session: Session, transaction: SessionTransaction) -> None:
    if transaction.parent is not None:
        return
    for state, job_ids, entries in session.info.pop(_WAITING, []):
        tell(_announce_if_committed, state, job_ids, entries)


def _announce_if_committed(state: AppState, job_ids: list[int], entries: list[LogEntry]) -> None:
    with state.store.database.reading() as connection:
        committed = lookups.existing(connection, job_ids[:1])  # all of them, or none
    if committed:
        if ARMED:
            reach("enqueue.after_commit")
        state.store.logger.write(entries)
        state.backend.dispatched(job_ids)

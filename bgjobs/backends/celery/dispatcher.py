"""The dispatcher: makes messages of due jobs. Each worker has one, and one of them all is at work.

It looks at the table, so nothing depends on the process that dispatched a job, nor on what the broker remembers.
"""

from __future__ import annotations

import contextlib
import selectors
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import Connection

from bgjobs import clock, outbox
from bgjobs.backends.celery.transport import Postman
from bgjobs.backends.celery.window import SLOW_AFTER, Window
from bgjobs.custom_logger import console
from bgjobs.database import Database
from bgjobs.exceptions import BackendUnavailable
from bgjobs.leadership import Leadership
from bgjobs.outbox import Letter, Waiting
from bgjobs.supervisor.doorbell import DISPATCHER, Doorbell, ring
from bgjobs.supervisor.listener import Listener

LEASE = 5.0
LOOK_INTERVAL = 0.25
"""Seconds between two looks for due jobs: a retry, or one that was dispatched on another host and not rung for."""
TIDY_INTERVAL = 1.0
LOST_AFTER = 5.0
"""Seconds after which a message that is in no queue any more, and whose job nobody has claimed, was lost."""
_BUSY_INTERVAL = 0.02
_PAUSE = 1.0


class Dispatcher:
    """Works in a thread of a worker. ``on_look`` is called about once a second, whoever is the leader."""

    def __init__(
        self, database: Database, folder: str, postman: Postman, on_look: Callable[[], None] = lambda: None
    ) -> None:
        self._database = database
        self._folder = folder
        self._postman = postman
        self._on_look = on_look
        self._leadership = Leadership(database, "dispatcher", LEASE)
        self._selector = selectors.DefaultSelector()
        self._doorbell = Doorbell(folder, DISPATCHER)
        self._listener = Listener(database.url, self._selector, lambda: None)
        self._windows: defaultdict[str, Window] = defaultdict(Window)
        self._leads = self._has_more = self._complained = False
        self._renew_at = self._tidy_at = 0.0
        self._stopping = threading.Event()

    def run(self) -> None:
        """Until it is stopped."""
        while not self._stopping.is_set():
            try:
                self._turn()
                self._complained = False
                self._wait()
            except BackendUnavailable as error:
                self._complain(error)
            # The edge of the thread: without it nothing would ever be published again.
            except Exception as error:  # noqa: BLE001
                self._complain(error)
        self._leave()

    def stop(self) -> None:
        """From another thread: leave, and let another worker take over at once."""
        self._stopping.set()
        ring(self._folder, DISPATCHER)

    def _turn(self) -> None:
        now = time.monotonic()
        if now >= self._renew_at:
            self._leads = self._leadership.is_ours()
            self._renew_at = now + LEASE / 4
            self._listen() if self._leads else self._stop_listening()
        if now >= self._tidy_at:
            self._tidy_at = now + TIDY_INTERVAL
            self._on_look()
            if self._leads:
                self._postman.open()
                self._tidy()
        if self._leads:
            self._publish()

    def _publish(self) -> None:
        """Take jobs and commit that, then send their messages: who receives one finds its row as it should be."""
        now = clock.now()
        with self._database.reading() as connection:
            if not outbox.has_unpublished(connection, now):
                self._has_more = False
                return
        self._postman.open()
        with self._database.writing() as connection:
            letters = self._taken(connection, now)
        self._has_more = bool(letters)
        unsent = self._postman.send(letters)
        if unsent:
            with self._database.writing() as connection:
                outbox.take_back(connection, unsent)
            self._postman.close()
            raise BackendUnavailable(
                f"The broker did not take {len(unsent)} of {len(letters)} messages. The jobs wait; look whether "
                "it is there."
            )

    def _taken(self, connection: Connection, now: datetime) -> list[Letter]:
        letters: list[Letter] = []
        waiting = outbox.waiting(connection, now)
        for queue in outbox.queues_with_pending(connection):
            window, seen = self._windows[queue], waiting.get(queue, Waiting())
            room = window.room(seen.number, _age(seen, now))
            taken = outbox.publish(connection, queue, room, now) if room else []
            window.filled(len(taken), room)
            letters += taken
        return letters

    def _tidy(self) -> None:
        """What was published in vain: paused, overtaken by something more urgent, cancelled, or lost."""
        now = clock.now()
        with self._database.writing() as connection:
            outbox.take_back_paused(connection)
            waiting = outbox.waiting(connection, now - timedelta(seconds=LOST_AFTER))
            for queue, seen in waiting.items():
                if _age(seen, now) > SLOW_AFTER:
                    outbox.let_overtake(connection, queue, now)
            unwanted = outbox.unwanted(connection)
        self._postman.revoke(unwanted)
        for queue, seen in waiting.items():
            if seen.overdue > self._postman.number_waiting(queue):
                with self._database.writing() as connection:
                    outbox.take_back_overdue(connection, queue, now - timedelta(seconds=LOST_AFTER))

    def _wait(self) -> None:
        seconds = LOOK_INTERVAL
        if self._leads and self._has_more:
            seconds = _BUSY_INTERVAL
        if self._doorbell.is_open:
            for key, _ in self._selector.select(seconds):
                key.data()
        else:
            self._stopping.wait(seconds)

    def _listen(self) -> None:
        """Hear of what is dispatched on this host, and on PostgreSQL on any other."""
        if not self._doorbell.is_open:
            self._doorbell.open()
            self._selector.register(self._doorbell, selectors.EVENT_READ, self._doorbell.silence)
        self._listener.keep_up()

    def _stop_listening(self) -> None:
        self._listener.close()
        if self._doorbell.is_open:
            self._selector.unregister(self._doorbell)
            self._doorbell.close()

    def _complain(self, error: Exception) -> None:
        if not self._complained:
            console.warning("Due jobs cannot be published at the moment: %s Trying again.", error)
        self._complained = True
        self._postman.close()
        self._stopping.wait(_PAUSE)

    def _leave(self) -> None:
        self._stop_listening()
        self._selector.close()
        if self._leads:
            with contextlib.suppress(BackendUnavailable):
                self._leadership.give_up()
        self._postman.close()


def _age(seen: Waiting, now: datetime) -> float:
    return 0.0 if seen.oldest is None else (now - seen.oldest).total_seconds()

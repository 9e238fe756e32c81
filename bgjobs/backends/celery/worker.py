"""The worker: a Celery worker whose threads each wait for one job, which runs in a process of its own."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Sequence
from typing import Any

from celery import Celery, bootsteps

from bgjobs import outbox
from bgjobs.app_location import AppLocation
from bgjobs.app_search import seen_running
from bgjobs.app_state import AppState
from bgjobs.backends.celery.dispatcher import Dispatcher
from bgjobs.backends.celery.hand_over import HandOver
from bgjobs.backends.celery.transport import PREFIX, TASK, Postman, celery_app, queue_named
from bgjobs.bulk import BulkAction
from bgjobs.custom_logger import console
from bgjobs.exceptions import ConfigurationError
from bgjobs.processes.app_loader import load_app
from bgjobs.processes.identity import host_name
from bgjobs.supervisor.config import SupervisorConfig
from bgjobs.supervisor.feed import can_be_fed

_ALWAYS = ("default", BulkAction.queue)


def work(state: AppState, queues: Sequence[str], processes: int | None) -> int:
    """Be a worker until told to stop; the exit status. Without ``queues`` it works for all that there are."""
    if state.settings.backend != "celery":
        raise ConfigurationError(
            'A worker is for the celery backend. Set BGJOBS_BACKEND to "celery"; the local backend needs none.',
            setting="BGJOBS_BACKEND",
        )
    state.location = seen_running(state.location, state.app)
    app = worker_app(state, queues)
    worker = app.Worker(
        hostname=f"bgjobs-{os.getpid()}@{host_name()}",
        concurrency=processes or state.settings.processes,
        loglevel="WARNING",
        quiet=True,
    )
    worker.start()
    return int(worker.exitcode or 0)


def load_worker_app() -> Celery:
    """The Celery application for the command of Celery, which knows nothing of Flask."""
    declared = tuple(filter(None, (os.environ.get("BGJOBS_APP") or os.environ.get("FLASK_APP"),)))
    state = load_app(AppLocation(declared, (), (), os.getcwd(), tuple(sys.path)))
    return worker_app(state, ())


def worker_app(state: AppState, queues: Sequence[str]) -> Celery:
    """The Celery application, made ready to work for ``queues``."""
    app = celery_app(state)
    app.conf.worker_pool = "threads"
    app.conf.worker_prefetch_multiplier = 1  # with late acknowledgement: as many messages as threads
    known = app.amqp.queues
    names = [PREFIX + name for name in queues or _ALWAYS]
    for name in queues or _ALWAYS:
        known.add(queue_named(app, name))
    known.select(names)
    station = _Station(state, app, follows_queues=not queues)

    @app.task(name=TASK, acks_late=True, ignore_result=True, shared=False)  # type: ignore[untyped-decorator]
    def run(job_id: Any, execution_token: Any) -> None:
        station.run(job_id, execution_token)

    class Station(bootsteps.StartStopStep):  # type: ignore[misc]
        """Celery makes the steps of a worker from classes."""

        def start(self, worker: Any) -> None:
            station.start(worker)

        def close(self, worker: Any) -> None:
            station.close()

        def stop(self, worker: Any) -> None:
            station.close()

    app.steps["worker"].add(Station)
    return app


class _Station:
    """What belongs to a worker beside Celery's own parts."""

    def __init__(self, state: AppState, app: Celery, *, follows_queues: bool) -> None:
        self._state = state
        self._app = app
        self._follows_queues = follows_queues
        self._database = state.store_with().database
        self._hand_over: HandOver | None = None
        self._dispatcher: Dispatcher | None = None
        self._worker: Any = None

    def start(self, worker: Any) -> None:
        self._worker = worker
        folder = self._state.folder.path
        self._hand_over = HandOver(SupervisorConfig.of(self._state), self._database, worker.concurrency)
        self._dispatcher = Dispatcher(self._database, folder, Postman(self._app), self._follow_queues)
        for name, target in (("attendance", self._hand_over.attend), ("dispatcher", self._dispatcher.run)):
            threading.Thread(target=target, name=f"bgjobs {name}", daemon=True).start()

    def run(self, job_id: Any, token: Any) -> None:
        """Have a job run. Whoever may write to the broker can have sent this: what it names is looked for in the
        table, and anything else is dropped."""
        assert self._hand_over is not None
        if can_be_fed(job_id, token):
            self._hand_over.run(job_id, token)
        else:
            console.warning("A message that names no job was dropped.")

    def close(self) -> None:
        if self._dispatcher is not None and self._hand_over is not None:
            self._dispatcher.stop()
            self._hand_over.close()

    def _follow_queues(self) -> None:
        """Work for the queues that have come into use."""
        if not self._follows_queues:
            return
        known = self._app.amqp.queues
        with self._database.reading() as connection:
            names = outbox.queues_with_pending(connection)
        for name in names:
            if PREFIX + name not in known.consume_from:
                known.select_add(queue_named(self._app, name))
                consumer = self._worker.consumer
                if consumer is not None and consumer.task_consumer:
                    consumer.call_soon(consumer.add_task_queue, PREFIX + name)

"""What stands between us and Celery: its application, our queues in it, and the one message."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from celery import Celery
from kombu.entity import Exchange, Queue
from kombu.exceptions import KombuError, OperationalError

from bgjobs.app_state import AppState
from bgjobs.backends.celery.backend import check
from bgjobs.outbox import Letter

TASK = "bgjobs.run"
"""The only task: ``bgjobs.run(job_id, execution_token)``."""
PREFIX = "bgjobs."
_EXCHANGE = Exchange("bgjobs", type="direct", durable=True)
_OPENS_WITHIN = 5.0


def celery_app(state: AppState) -> Celery:
    """The host's own Celery application where there is one and ``BGJOBS_BROKER_URL`` says no other broker. Raises
    :class:`~bgjobs.exceptions.ConfigurationError`."""
    check(state)
    if state.settings.broker_url is None:
        app: Celery = state.app.extensions["celery"]
        return app
    app = Celery("bgjobs", broker=state.settings.broker_url, set_as_current=False)
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        task_ignore_result=True,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,  # a broker that is down for an hour is no reason to end
        worker_hijack_root_logger=False,
    )
    return app


def queue_named(app: Celery, name: str) -> Queue:
    """The Celery queue of our queue ``name``. On RabbitMQ a quorum queue: a classic one loses its messages with
    its node."""
    arguments = {"x-queue-type": "quorum"} if _is_amqp(app) else None
    return Queue(PREFIX + name, _EXCHANGE, routing_key=PREFIX + name, queue_arguments=arguments)


class Postman:
    """Sends letters, on a connection of its own. Not for several threads."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._connection: Any = None
        self._producer: Any = None
        self._queues: dict[str, Queue] = {}

    @property
    def errors(self) -> tuple[type[BaseException], ...]:
        """What it means when the broker does not answer."""
        known = (OperationalError, KombuError, OSError)
        if self._connection is None:
            return known
        return (*known, *self._connection.connection_errors, *self._connection.channel_errors)

    def open(self) -> None:
        """Be connected. Raises one of :attr:`errors`."""
        if self._connection is None:
            options = {"confirm_publish": True} if _is_amqp(self._app) else {}
            self._connection = self._app.connection_for_write(transport_options=options)
        self._connection.ensure_connection(max_retries=1, timeout=_OPENS_WITHIN)
        if self._producer is None:
            self._producer = self._app.amqp.Producer(self._connection, auto_declare=False)

    def send(self, letters: Sequence[Letter]) -> list[Letter]:
        """Send them; those that could not be sent. The broker has confirmed the others."""
        for place, letter in enumerate(letters):
            try:
                self._send(letter)
            except self.errors:
                return list(letters[place:])
        return []

    def number_waiting(self, queue: str) -> int:
        """The messages that wait in the broker for a worker. Raises one of :attr:`errors`."""
        with self._connection.channel() as channel:
            try:
                declared = self._queue(queue).bind(channel).queue_declare(passive=True)
            except self._connection.channel_errors:
                return 0  # there is no such queue
            return int(declared.message_count)

    def revoke(self, letters: Iterable[Letter]) -> None:
        """Tell the workers that these are not wanted any more. Raises one of :attr:`errors`."""
        tasks = [task_id(letter) for letter in letters]
        if tasks:
            self._app.control.revoke(tasks, connection=self._connection)

    def close(self) -> None:
        """Hang up; the next :meth:`open` calls again."""
        if self._connection is not None:
            self._connection.release()
        self._connection = self._producer = None

    def _send(self, letter: Letter) -> None:
        self._app.send_task(
            TASK,
            args=(letter.job_id, letter.token),
            task_id=task_id(letter),
            queue=self._queue(letter.queue),
            producer=self._producer,
            serializer="json",
            ignore_result=True,
            retry=False,
        )

    def _queue(self, name: str) -> Queue:
        if name not in self._queues:
            self._queues[name] = queue_named(self._app, name)
        return self._queues[name]


def task_id(letter: Letter) -> str:
    """The id of the message in Celery."""
    return f"bgjobs-{letter.job_id}-{letter.token}"


def _is_amqp(app: Celery) -> bool:
    url = str(app.conf.broker_write_url or app.conf.broker_url or "")
    return url.partition("://")[0].partition("+")[0] in ("amqp", "amqps", "pyamqp")

"""Celery as the transport: it carries "run this job" to a machine, and our table stays the truth.

A web process only stores the job. On the worker machines, ``flask bgjobs worker`` or
``celery -A bgjobs.backends.celery worker`` publishes what is due (:mod:`.dispatcher`), receives it, and hands it
to the supervisor of its machine (:mod:`.hand_over`), which runs each job in a process of its own as it does
without Celery.
"""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    """``app``, which the command of Celery asks for: made from the application that ``BGJOBS_APP`` or
    ``FLASK_APP`` names. Not before somebody asks: a web process needs neither Celery nor a second application."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from bgjobs.backends.celery.worker import load_worker_app

    globals()["app"] = app = load_worker_app()
    return app

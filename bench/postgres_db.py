"""A database of its own on the PostgreSQL server, for as long as a system is measured."""

from __future__ import annotations

import os

import psycopg
from psycopg import sql

from bench.driver import NotMeasured


def server() -> str:
    """The PostgreSQL server: on this host, unless the environment says another."""
    return os.environ.get("BENCH_POSTGRES", "postgresql://127.0.0.1:5432")


class OwnDatabase:
    """Made where it is created, until it is dropped; ``url`` leads to it. Raises :class:`NotMeasured`."""

    def __init__(self, purpose: str = "queue") -> None:
        self._name = f"bgjobs_bench_{os.getpid()}_{purpose}"
        self.url = f"{server()}/{self._name}"
        try:
            self._administer("CREATE DATABASE {}")
        except psycopg.OperationalError as error:
            reason = str(error).strip().splitlines()[0]
            raise NotMeasured(f"no PostgreSQL answers at {server()} ({reason})") from error

    def drop(self) -> None:
        self._administer("DROP DATABASE {} WITH (FORCE)")

    def _administer(self, statement: str) -> None:
        with psycopg.connect(f"{server()}/postgres", autocommit=True, connect_timeout=2) as connection:
            connection.execute(sql.SQL(statement).format(sql.Identifier(self._name)))  # type: ignore[arg-type]

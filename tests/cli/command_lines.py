"""The command line inside this process, and as people call it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
from cli_site import create_app, db
from click.testing import Result
from flask import Flask
from sqlalchemy import event

from bgjobs.app_state import app_state

HERE = Path(__file__).parent


class CommandLine:
    """The commands of one application, called in this process."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder = folder
        self.app: Flask = create_app(str(folder), **settings)
        self.state = app_state(self.app)
        # Nobody pulls the plug of a test, and waiting for the disk is most of what these tests would do.
        if self.state.store.database.is_sqlite:
            event.listen(self.state.store.database.engine, "connect", _without_waiting_for_the_disk)

    def __call__(self, *arguments: str) -> Result:
        result = self.app.test_cli_runner().invoke(args=list(arguments))
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def json(self, *arguments: str, exit_code: int = 0) -> Any:
        result = self(*arguments, "--json")
        assert (result.exit_code, result.stderr) == (exit_code, "")
        return json.loads(result.stdout)

    def close(self) -> None:
        self.state.store.database.dispose()
        with self.app.app_context():
            db.engine.dispose()


class Shell:
    """The ``flask`` command as a process, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._started: list[subprocess.Popen[str]] = []

    def start(self, *arguments: str, module: str = "flask") -> subprocess.Popen[str]:
        environment = {
            **os.environ,
            "FLASK_APP": f"cli_site:create_app({str(self.folder)!r})",
            "PYTHONPATH": str(HERE),
            "PYTHONUNBUFFERED": "1",
        }
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._started.append(process)
        return process

    def run(self, *arguments: str, module: str = "flask") -> tuple[int, str, str]:
        """Exit status, standard output and standard error."""
        process = self.start(*arguments, module=module)
        output, errors = process.communicate(timeout=60)
        return process.returncode, output, errors

    def family(self) -> list[psutil.Process]:
        """The living processes that stand in the folder: commands, supervisor, jobs."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.cwd() == str(self.folder):
                    found.append(process)
        return found

    def end(self) -> None:
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.communicate()


def _without_waiting_for_the_disk(connection: Any, record: Any) -> None:
    connection.execute("PRAGMA synchronous=OFF").close()

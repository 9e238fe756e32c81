"""Machines with a Celery worker: each has a host name, a state folder and log files of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
from census import exists
from real_site import RealSite
from waiting import until

_HOUSE = Path(__file__).parents[2]


class WorkerHost:
    """Runs ``flask bgjobs worker`` for ``site``. ``settings`` are those of this host, without their prefix;
    ``code`` is run in the worker before all else."""

    def __init__(self, site: RealSite, name: str, **settings: Any) -> None:
        self.site = site
        self.name = name
        own = {"state_dir": str(site.folder / f"state-{name}"), "log_dir": str(site.folder / f"logs-{name}")}
        self._settings = {f"BGJOBS_{key.upper()}": value for key, value in {**own, **settings}.items()}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *command: str) -> None:
        """Start the worker; ``command`` instead of our own."""
        module = command or ("flask", "--app", self.site.name, "bgjobs", "worker")
        with open(self.site.folder / f"{self.name}.output", "ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *module],
                cwd=self.site.folder,
                env={
                    **os.environ,
                    "PYTHONPATH": f"{self.site.folder}{os.pathsep}{_HOUSE}",
                    "BGJOBS_HOST_NAME": self.name,
                    "BGJOBS_APP": self.site.name,
                    "SETTINGS_OF_THE_HOST": json.dumps(self._settings),
                },
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def until_ready(self) -> int:
        """Wait until its supervisor has the application loaded; the pid of that."""
        return int(until(self._ready, what=f"{self.name} is ready", explain=self.output)["pid"])

    def output(self) -> str:
        logs = (self.site.folder / f"state-{self.name}").glob("*/supervisor.log")
        return "\n".join(path.read_text() for path in (self.site.folder / f"{self.name}.output", *logs))

    def status(self) -> dict[str, Any]:
        """What its supervisor says of itself; nothing where there is none."""
        for path in (self.site.folder / f"state-{self.name}").glob("*/status.json"):
            with suppress(FileNotFoundError):
                return dict(json.loads(path.read_text()))
        return {}

    def processes(self) -> list[psutil.Process]:
        """All that live: the worker, the supervisor and whom that started."""
        found = []
        for pid in (self.process.pid if self.process is not None else None, self.status().get("pid")):
            with suppress(psutil.NoSuchProcess):
                if pid is not None and exists(pid):
                    found += [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        return found

    def kill_worker(self) -> None:
        """kill -9 of the worker alone."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(30)

    def kill(self) -> None:
        """The whole machine is gone from one moment to the next."""
        frozen: list[psutil.Process] = []
        while new := [item for item in self.processes() if item not in frozen]:
            for process in new:
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(signal.SIGSTOP)
            frozen += new
        for process in frozen:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        assert self.process is not None
        self.process.wait(30)
        until(lambda: not self.processes(), what="everything is dead")

    def stop(self) -> None:
        """As a service manager does it: SIGTERM to the worker, which leaves nothing of its own."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(30)
        until(self._left_nothing, what=f"nothing is left of {self.name}", explain=self.output)

    def _ready(self) -> dict[str, Any] | None:
        assert self.process is not None
        assert self.process.poll() is None, self.output()
        status = self.status()
        lives = any(item.pid == status.get("pid") for item in self.site.processes())
        return status if lives and status.get("fork_server_pid") else None

    def _left_nothing(self) -> bool:
        """A supervisor whose worker was killed stays a while, for the next one."""
        left = self.processes()
        pid = self.status().get("pid")
        for process in left:
            if process.pid == pid:
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(signal.SIGQUIT)
        return not left


@contextmanager
def working(*hosts: WorkerHost) -> Iterator[None]:
    """The hosts, from their start to their end."""
    try:
        for host in hosts:
            host.start()
        for host in hosts:
            host.until_ready()
        yield
    finally:
        for host in hosts:
            host.stop()

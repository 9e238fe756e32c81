"""Other hosts, as far as bgjobs can tell: supervisors with another host name and a state folder of their own."""

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


class Host:
    """Runs ``flask bgjobs supervise`` for ``site``. ``settings`` are those of this host, without their prefix;
    ``code`` is run in the supervisor before all else."""

    def __init__(
        self, site: RealSite, name: str, *, code: str = "", prefix: tuple[str, ...] = (), **settings: Any
    ):
        self.site = site
        self.name = name
        self._code = code
        self._prefix = prefix
        own = {"state_dir": str(site.folder / f"state-{name}"), "log_dir": str(site.folder / f"logs-{name}")}
        self._settings = {f"BGJOBS_{key.upper()}": value for key, value in {**own, **settings}.items()}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the supervisor and wait until it has the application loaded."""
        for path in self._status_files():
            path.unlink()
        code = f"{self._code}\nimport sys\nfrom flask.cli import main\nsys.exit(main())"
        environment = {
            **os.environ,
            "PYTHONPATH": f"{self.site.folder}{os.pathsep}{_HOUSE}",
            "BGJOBS_HOST_NAME": self.name,
            "SETTINGS_OF_THE_HOST": json.dumps(self._settings),
        }
        with open(self.site.folder / f"{self.name}.output", "ab") as output:
            self.process = subprocess.Popen(
                [*self._prefix, sys.executable, "-c", code, "--app", self.site.name, "bgjobs", "supervise"],
                cwd=self.site.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        until(self._is_ready, what=f"{self.name} is ready", explain=self.output)

    def output(self) -> str:
        return (self.site.folder / f"{self.name}.output").read_text()

    @property
    def pid(self) -> int:
        """Of the supervisor."""
        return int(self.status()["pid"])

    def status(self) -> dict[str, Any]:
        """What the supervisor says of itself; nothing before it has."""
        for path in self._status_files():
            with suppress(FileNotFoundError):
                return dict(json.loads(path.read_text()))
        return {}

    def processes(self) -> list[psutil.Process]:
        """All that live, the supervisor first."""
        if self.process is None or self.process.poll() is not None:
            return []
        supervisor = psutil.Process(self.process.pid)
        return [supervisor, *supervisor.children(recursive=True)]

    def freeze(self) -> list[psutil.Process]:
        """The whole host stands still; what does."""
        frozen: list[psutil.Process] = []
        while new := [item for item in self.processes() if item not in frozen]:
            for process in new:
                process.send_signal(signal.SIGSTOP)
            frozen += new
        return frozen

    def go_on(self) -> None:
        """What stands still does so no more."""
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """The whole host is gone from one moment to the next."""
        frozen = self.freeze()
        for process in frozen:
            process.kill()
        self._reap()
        until(lambda: not any(exists(process.pid) for process in frozen), what="everything is dead")

    def stop(self) -> None:
        """As at the end of a test: at once, but in an orderly way."""
        if self.process is not None:
            # Else a supervisor that stood still would not hear of it.
            self.go_on()
            with suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGQUIT)
            self._reap()

    def _reap(self) -> None:
        assert self.process is not None
        self.process.wait(30)
        self.process = None

    def _is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.output()
        return bool(self.status().get("fork_server_pid"))

    def _status_files(self) -> list[Path]:
        return list((self.site.folder / f"state-{self.name}").glob("*/status.json"))


@contextmanager
def at_work(*hosts: Host) -> Iterator[None]:
    """The hosts, from their start to their end. Within, each may be stopped and started again."""
    try:
        for host in hosts:
            host.start()
        yield
    finally:
        for host in hosts:
            host.stop()

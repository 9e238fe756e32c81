"""The demo application as ``make run`` starts it, in a folder of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

HOUSE = Path(__file__).resolve().parents[2]


@contextmanager
def demo(script: Path = HOUSE / "app.py") -> Iterator[str]:
    """The address of its home page. At the end it and its supervisor are gone."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(script, folder)
        shutil.copytree(HOUSE / "templates" / "demo", Path(folder, "templates", "demo"))
        environment = {**os.environ, "PYTHONPATH": str(HOUSE), "DISPLAY": "", "WAYLAND_DISPLAY": ""}
        with subprocess.Popen(
            [sys.executable, script.name],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as server:
            try:
                assert server.stdout is not None
                lines = (line.decode() for line in server.stdout)
                yield next(found[1] for line in lines if (found := re.search(r"Home +(http://\S+)/", line)))
            finally:
                server.terminate()
                for status in Path(folder).glob("instance/bgjobs/*/status.json"):
                    stop_supervisor(json.loads(status.read_text())["pid"])


def stop_supervisor(pid: int) -> None:
    with suppress(psutil.NoSuchProcess):
        supervisor = psutil.Process(pid)
        family = [supervisor, *supervisor.children(recursive=True)]
        supervisor.send_signal(signal.SIGQUIT)
        psutil.wait_procs(family, timeout=20)

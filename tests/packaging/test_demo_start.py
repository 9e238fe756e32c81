"""``make run``: what somebody sees who starts the demo application where port 5000 is taken."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from installed import HOUSE


@pytest.fixture
def port_5000_is_taken() -> Iterator[None]:
    with closing(socket.socket()) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):  # by somebody else: that will do
            listener.bind(("127.0.0.1", 5000))
            listener.listen()
        yield


@pytest.mark.usefixtures("port_5000_is_taken")
def test_it_takes_the_next_port_and_says_so(tmp_path: Path) -> None:
    shutil.copy(HOUSE / "app.py", tmp_path)
    shutil.copytree(HOUSE / "templates" / "demo", tmp_path / "templates" / "demo")
    environment = {**os.environ, "PYTHONPATH": str(HOUSE), "DISPLAY": "", "WAYLAND_DISPLAY": ""}
    commands = [sys.executable, "-m", "flask", "--app", "app", "bgjobs", "upgrade"]
    upgraded = subprocess.run(commands, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert upgraded.stdout == "The tables are at revision 0001, and were not there before.\n"
    assert (tmp_path / "instance" / "demo.db").exists()

    with subprocess.Popen(
        [sys.executable, "app.py"],
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as server:
        try:
            assert server.stdout is not None
            said = [server.stdout.readline() for _ in range(3)]
            taken = re.fullmatch(r"Port 5000 is taken by another program, so this is port (\d+)\.\n", said[0])
            assert taken is not None
            port = int(taken[1])
            assert port > 5000
            assert said[1:] == [
                f"Home       http://127.0.0.1:{port}/\n",
                f"Dashboard  http://127.0.0.1:{port}/dashboard\n",
            ]
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/dashboard", timeout=30) as page:
                assert "No jobs yet" in page.read().decode()
        finally:
            server.terminate()
    assert not list(tmp_path.glob("instance/bgjobs/*/status.json"))  # a look alone starts no supervisor


def test_those_that_start_at_once_take_a_port_each(tmp_path: Path) -> None:
    """All of them may find a port free that only one of them gets."""
    code = "import app; listener = app.listen(5050); print(listener.getsockname()[1], flush=True); input()"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code], cwd=HOUSE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    ports = set()
    for process in started:
        assert process.stdout is not None
        ports.add(next(line for line in process.stdout if line.strip().isdigit()))
    for process in started:
        process.communicate("\n")
    assert len(ports) == 4

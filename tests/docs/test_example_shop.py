"""The example in ``examples/shop``, started by the commands that its units have."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from snippets import HOUSE

SHOP = HOUSE / "examples" / "shop"
Until = Callable[..., Any]


def test_three_lines_were_added() -> None:
    marked = re.findall(r"^.*# \d: .*$", (SHOP / "app.py").read_text(), re.MULTILINE)
    assert [line.split("  #")[0].strip() for line in marked] == [
        "from bgjobs import BackgroundJobs, run_background_job",
        "jobs = BackgroundJobs()",
        "jobs.init_app(app, db)",
    ]


def test_an_order_is_confirmed_by_the_other_service(tmp_path: Path, until: Until) -> None:
    (tmp_path / "app.py").write_text((SHOP / "app.py").read_text())
    _in_the_shop(
        tmp_path, [sys.executable, "-c", "from app import *\nwith create_app().app_context(): db.create_all()"]
    )
    with _service("shop-web", tmp_path) as web, _service("shop-jobs", tmp_path) as jobs:
        address = until(lambda: _address(tmp_path), 30)
        assert _asked(f"{address}/health") == {"ok": True}
        number = _asked(f"{address}/orders", b"")["order"]
        until(lambda: _asked(f"{address}/orders/{number}")["confirmed"], 30)
        _in_the_shop(tmp_path, [_program("flask"), "bgjobs", "doctor"])
        for service in (web, jobs):
            service.send_signal(signal.SIGTERM)
            assert service.wait(30) == 0


@contextmanager
def _service(unit: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """What systemd would start, but on a port that is free."""
    line = re.findall(r"^ExecStart=(.+)$", (SHOP / f"{unit}.service").read_text(), re.MULTILINE)[0]
    program, *arguments = shlex.split(line.replace("127.0.0.1:8000", "127.0.0.1:0"))
    with (folder / f"{unit}.log").open("wb") as log:
        service = subprocess.Popen(
            [_program(Path(program).name), *arguments],
            cwd=folder,
            env=_environment(),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield service
    finally:
        with suppress(ProcessLookupError):
            os.killpg(service.pid, signal.SIGKILL)
        service.wait()


def _address(folder: Path) -> str | None:
    found = re.search(r"Listening at: (\S+)", (folder / "shop-web.log").read_text())
    return found and found[1]


def _asked(address: str, data: bytes | None = None) -> Any:
    with urllib.request.urlopen(address, data, timeout=30) as answer:
        return json.load(answer)


def _in_the_shop(folder: Path, command: list[str]) -> None:
    subprocess.run(command, cwd=folder, env=_environment(), check=True, capture_output=True, timeout=60)


def _program(name: str) -> str:
    return str(Path(sys.executable).parent / name)


def _environment() -> dict[str, str]:
    told = dict(line.split("=", 1) for line in (SHOP / "shop.env").read_text().splitlines() if line[0] != "#")
    ours = {key: value for key, value in os.environ.items() if not key.startswith(("FLASK_", "BGJOBS_"))}
    return {**ours, **told}

"""There is one supervisor for a database and host, however many callers come at once (F18, F35)."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from ports import free_port
from real_site import MakeSite, RealSite, died_within
from waiting import until

from bgjobs.processes.boot import start_ahead

CALLERS = 20
JOBS_EACH = 10


def dispatch_from_many_processes(site: RealSite, callers: int, jobs_each: int) -> None:
    """Fork callers that all begin in the same instant: when the pipe, on which they wait, is closed."""
    site.state.store.database.dispose()
    reader, writer = os.pipe()
    children = []
    for _ in range(callers):
        if (pid := os.fork()) == 0:
            status = 1
            with suppress(BaseException):
                os.close(writer)
                os.read(reader, 1)
                for _ in range(jobs_each):
                    site.dispatch("Plain.nothing")
                status = 0
            os._exit(status)
        children.append(pid)
    os.close(reader)
    os.close(writer)
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * callers


def test_twenty_callers_start_one_supervisor_and_each_job_runs_once(make_site: MakeSite) -> None:
    site = make_site()
    for round_number in range(1, 4):
        dispatch_from_many_processes(site, CALLERS, JOBS_EACH)
        first = site.until_supervised().pid
        until(lambda: site.counts()["completed"] == round_number * CALLERS * JOBS_EACH)  # noqa: B023
        assert site.until_supervised().pid == first
        assert site.supervisors() == [first]
        assert len(site.events(what="start")) == round_number * CALLERS * JOBS_EACH
        # Those that lost the race are gone, and left nothing.
        family = psutil.Process(first).children(recursive=True)
        assert died_within({item.pid for item in site.processes()} - {first, *(item.pid for item in family)}, 5)
        site.kill(first)
        assert died_within([first], 5)
        # Its fork server notices, and starts the next one: the race of the round after this is with that.


def test_a_second_supervisor_in_the_foreground_refuses(make_site: MakeSite) -> None:
    site = make_site()
    site.run("Plain.nothing")
    with flask(site, "bgjobs", "supervise", stderr=subprocess.PIPE) as second:
        _, message = second.communicate(timeout=30)
    assert second.returncode != 0
    assert "supervisor" in message
    assert site.supervisors() == [site.until_supervised().pid]


def test_the_supervisor_in_the_foreground_does_the_work(make_site: MakeSite) -> None:
    site = make_site(autostart=False)
    waiting = site.dispatch("Plain.nothing")
    with flask(site, "bgjobs", "supervise") as process:
        assert site.until_supervised().pid == process.pid
        assert [row.status for row in site.wait(waiting, site.dispatch("Plain.nothing"))] == ["completed"] * 2
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_the_reloader_of_flask_starts_one_supervisor_and_does_not_orphan_it(make_site: MakeSite) -> None:
    site = make_site()
    port = free_port()
    with flask(
        site,
        "run",
        "--port",
        str(port),
        "--debug",
        "--extra-files",
        str(site.folder / "touched"),
        start_new_session=True,
    ) as server:
        try:
            answer(port)
            post(port)
            supervisor = site.until_supervised().pid
            before = web_workers(server.pid)
            (site.folder / "touched").touch()
            site.source("__init__").touch()
            until(lambda: web_workers(server.pid) - before, what="a reload")
            answer(port)
            post(port)
            until(lambda: site.counts()["completed"] == 2)
            assert site.supervisors() == [supervisor]
        finally:
            os.killpg(server.pid, signal.SIGINT)
    # The supervisor lives on, and has nothing of the web server's.
    assert site.until_supervised().pid == supervisor
    listen_again(port)


def test_four_workers_of_gunicorn_share_one_supervisor(make_site: MakeSite) -> None:
    gunicorn = Path(sys.executable).with_name("gunicorn")
    if not gunicorn.exists():
        pytest.skip("gunicorn is not installed")
    site = make_site()
    port = free_port()
    command = [gunicorn, "-w", "4", "-b", f"127.0.0.1:{port}", "--no-control-socket", f"{site.name}:create_app()"]
    with run(site, command) as server:
        try:
            answer(port)
            for _ in range(20):
                post(port)
            until(lambda: site.counts()["completed"] == 20)
            supervisor = site.until_supervised().pid
            assert site.supervisors() == [supervisor]
            assert {event.pid for event in site.events(what="start")}.isdisjoint({server.pid})
            site.dispatch("Plain.nothing")
        finally:
            server.terminate()
            server.wait(30)
    assert site.until_supervised().pid == supervisor
    listen_again(port)


def flask(site: RealSite, *arguments: str, **options: object) -> subprocess.Popen[str]:
    return run(site, [sys.executable, "-m", "flask", "--app", site.name, *arguments], **options)


def run(site: RealSite, command: list[object], **options: object) -> subprocess.Popen[str]:
    house = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": f"{site.folder}{os.pathsep}{house}"}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(command, cwd=site.folder, env=environment, text=True, **{**quiet, **options})  # type: ignore[call-overload, no-any-return]


def web_workers(parent: int) -> set[int]:
    """The children of the reloader."""
    return {child.pid for child in psutil.Process(parent).children()}


def answer(port: int) -> None:
    """Wait until somebody listens."""

    def connects() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    until(connects, what="the web server answers")


def post(port: int) -> None:
    def posted() -> bool:
        try:
            response = urllib.request.urlopen(f"http://127.0.0.1:{port}/dispatch", data=b"", timeout=10)
        except OSError:  # a reload may come in between
            return False
        with response:
            return int(response.status) == 200

    until(posted, what="a dispatch by the web")


def listen_again(port: int) -> None:
    """The port is free: nobody of ours inherited the listener."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen()


def test_a_fork_server_started_ahead_of_a_supervisor_that_is_not_needed_leaves() -> None:
    started = start_ahead("bgjobs.processes.fork_server", "fork server")
    assert started is not None
    end, server = started
    try:
        end.close()
        assert server.wait(20) == 0
    finally:
        server.kill()
        server.wait()

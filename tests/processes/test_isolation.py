"""What a job's process has and has not (S10 to S12), and what it may do to itself and others (S30)."""

from __future__ import annotations

import signal

import pytest
from census import command_line
from real_site import MakeSite, RealSite

SECRET = "canary-7f3a"


def test_a_job_has_its_own_descriptors_and_no_others(site: RealSite) -> None:
    """Standard input is empty, the output is the attempt's file, and there is the channel; nothing else."""
    gate = "all at once"
    jobs = [site.dispatch("Plain.hold", {"gate": gate}) for _ in range(3)]
    for job in jobs:
        site.until_noted(job)
    looks = site.wait(*[site.dispatch("Plain.look_around") for _ in range(5)])
    site.open_gate(gate)
    site.wait(*jobs)
    for row in looks:
        links = row.result["descriptors"]
        # The lock of the witness is the test's own.
        others = {number: link for number, link in links.items() if "/locks/" not in link}
        sockets = [link for number, link in others.items() if int(number) > 2]
        assert others["0"] == "/dev/null"
        assert others["1"] == others["2"]
        assert others["1"].endswith(f"{row.id}-1.log")
        assert len(sockets) == 1, others
        assert sockets[0].startswith("socket:")


def test_a_job_is_the_leader_of_its_session_and_hears_signals(site: RealSite) -> None:
    seen = site.run("Plain.look_around").result
    assert seen["session"]
    assert seen["blocked"] == []
    assert seen["role"] == "job"
    assert seen["oom"] == "500"
    assert seen["core"] == [0, 0]


def test_nothing_of_the_web_server_comes_along(make_site: MakeSite, monkeypatch: pytest.MonkeyPatch) -> None:
    foreign = {
        "WERKZEUG_RUN_MAIN": "true",
        "WERKZEUG_SERVER_FD": "3",
        "LISTEN_FDS": "1",
        "LISTEN_PID": "1",
        "NOTIFY_SOCKET": "/run/x",
        "GUNICORN_FD": "5",
        "HTTP_AUTHORIZATION": SECRET,
        "REQUEST_METHOD": "POST",
        "QUERY_STRING": SECRET,
    }
    for key, value in {**foreign, "APP_OWN": "kept"}.items():
        monkeypatch.setenv(key, value)
    site = make_site()
    environment = site.run("Plain.look_around").result["environment"]
    assert environment.keys().isdisjoint(foreign)
    assert environment["APP_OWN"] == "kept"
    assert "BGJOBS_ROLE" not in environment
    row = site.run("Plain.say", {"words": "of a subprocess"})
    assert row.status == "completed"


def test_no_command_line_tells_a_secret(make_site: MakeSite) -> None:
    """Everybody on the host can read it: neither parameters nor the URL of the database stand there."""
    site = make_site()
    job = site.dispatch("Plain.hold_with", {"gate": "on", "password": SECRET, "note": f"note-{SECRET}"})
    site.until_noted(job)
    lines = [command_line(process.pid) for process in site.processes()]
    assert len(lines) >= 3
    for line in lines:
        assert SECRET not in line
        assert "sqlite" not in line
    site.open_gate("on")
    site.wait(job)


def test_a_job_that_gets_any_signal_harms_nobody_else(site: RealSite) -> None:
    supervisor = site.until_supervised()
    numbers = [signal.SIGINT, signal.SIGQUIT, signal.SIGUSR2, signal.SIGALRM, signal.SIGPIPE]
    jobs = [site.dispatch("Crash.by_signal", {"number": int(number)}, max_retries=1) for number in numbers]
    for job in jobs:
        # SIGINT is a KeyboardInterrupt, and Python ignores SIGPIPE; whatever it was, one retry heals it.
        site.until_noted(job)
    pipe = jobs.pop()
    rows = site.wait(*jobs)
    assert {(row.status, row.retry_count) for row in rows} == {("completed", 1)}
    pipe.cancel()
    site.wait(pipe)
    assert site.supervisor == supervisor

"""What a job uses: its graph from the samples, and the processes that it has now."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from pages import Element, parsed
from sites import PARTIAL, Site
from sqlalchemy import insert

from bgjobs.dashboard.job import process_tree
from bgjobs.dashboard.job.process_tree import Look, Looks, shown_command
from bgjobs.dashboard.job.usage import Reading, drawn, highest, readings
from bgjobs.processes.family import Family, Member, family_of
from bgjobs.processes.identity import ProcessIdentity, identity_of, start_time
from bgjobs.redaction import MASK, Redactor
from bgjobs.samples import samples

START = datetime(2026, 11, 24, 12, 4, 0, tzinfo=UTC)
MIB = 2.0**20


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def sample(seconds: float, cpu: Any = 50.0, rss: Any = 10 * MIB) -> Any:
    return SimpleNamespace(at=at(seconds), cpu=cpu, rss=rss)


# -- the graph ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "live", "cpu", "memory"),
    [
        ([(None, 2 * MIB), (40.0, 8 * MIB), (88.4, 4 * MIB)], True,
         "now 88 % · peak 88 %", "now 4.0 MiB · peak 8.0 MiB"),
        ([(120.0, MIB), (3.0, MIB)], False, "last 3 % · peak 120 %", "last 1.0 MiB · peak 1.0 MiB"),
        ([], True, "no look yet", "no look yet"),
        ([(None, None)], False, "–", "–"),
    ],
)  # fmt: skip
def test_the_numbers_beside_the_graph(values: list[Any], live: bool, cpu: str, memory: str) -> None:
    found = drawn([Reading(at(n), *pair) for n, pair in enumerate(values)], None, is_live=live)
    assert (found.cpu_words, found.memory_words) == (cpu, memory)


@pytest.mark.parametrize(
    ("limit", "has_line", "words"),
    [(None, False, ""), (40 * MIB, True, " · limit 40.0 MiB"), (8 * 1024 * MIB, False, " · limit 8.0 GiB")],
)
def test_the_limit_of_memory(limit: Any, has_line: bool, words: str) -> None:
    found = drawn([Reading(at(0), None, 10 * MIB), Reading(at(1), 1.0, 30 * MIB)], limit, is_live=True)
    assert [shape.name for shape in found.memory.shapes] == (["Memory", "Limit"] if has_line else ["Memory"])
    assert found.memory_words == f"now 30.0 MiB · peak 30.0 MiB{words}"


def test_points_stand_where_their_time_is() -> None:
    found = drawn([Reading(at(seconds), 50.0, MIB) for seconds in (0, 1, 4)], None, is_live=True)
    assert found.cpu.shapes[0].path == "M0 48h0L150 48L600 48"
    assert [tick.text for tick in found.cpu.times] == ["12:04:00", "12:04:04"]
    assert found.last is not None
    assert found.last.text == "12:04:04"


@pytest.mark.parametrize("count", [1, 119, 120, 121, 299, 300])
def test_no_peak_is_lost(count: int) -> None:
    for place in (0, count // 2, count - 1):
        rows = [Reading(at(n), 90.0 if n == place else None, 5.0 if n == place else 1.0) for n in range(count)]
        found = highest(rows, 120)
        assert len(found) == min(count, 120)
        assert max(one.rss or 0 for one in found) == 5.0
        assert max(one.cpu or 0 for one in found) == 90.0
        assert found[-1].at == rows[-1].at


@pytest.mark.parametrize(
    "row",
    [sample(0, "x", b"y"), sample(0, float("inf"), float("nan")), sample(0, None, None), sample(0, [], {}),
     SimpleNamespace(at=None, cpu=1, rss=1), SimpleNamespace(at="soon", cpu=1, rss=1), sample(0, -5, -5),
     sample(0, 1e300, 1e300)],
)  # fmt: skip
def test_samples_that_somebody_edited(row: Any) -> None:
    drawn(readings([sample(9), row, sample(-9)]), 100, is_live=True)
    drawn(readings([row]), None, is_live=False)


def add_samples(site: Site, job_id: int, *values: Any, attempt: int = 1) -> None:
    with site.state.store.database.writing() as connection:
        for seconds, cpu, rss in values:
            row = {"at": at(seconds), "cpu": cpu, "rss": rss, "threads": 1, "children": 0}
            connection.execute(insert(samples).values(background_job_id=job_id, attempt=attempt, **row))


def usage(site: Site, job_id: int, **headers: str) -> Any:
    return site.get(f"/dashboard/_/jobs/{job_id}/usage", headers={**PARTIAL, **headers})


def test_a_job_that_ended_keeps_its_graph(site: Site) -> None:
    job_id = site.dispatch()
    site.change(job_id, status="completed", attempt=2)
    add_samples(site, job_id, (0, None, MIB), attempt=1)
    add_samples(site, job_id, (31, None, 2 * MIB), (32, 70.0, 3 * MIB), attempt=2)
    page = parsed(site.get(f"/dashboard/jobs/{job_id}").text).one("div", id="usage")
    assert "Attempt 2. Last sample 12:04:32 UTC." in page.words
    assert "last 70 % · peak 70 %" in page.words
    assert not page.all("div", id="usage-poll")
    assert not page.all("div", class_="tree")
    assert [row.one("th").words for row in page.one("details", id="memory-table").one("tbody").all("tr")] == [
        "12:04:31",
        "12:04:32",
    ]


def test_a_job_that_nobody_looked_at_has_no_graph(site: Site) -> None:
    job_id = site.dispatch()
    assert 'id="usage"' not in site.get(f"/dashboard/jobs/{job_id}").text
    assert usage(site, job_id).text.strip() == ""


def test_the_graph_is_asked_for_by_itself(site: Site) -> None:
    job_id, client = site.dispatch(), site.client()
    site.change(job_id, status="running", attempt=1)
    page = f"/dashboard/jobs/{job_id}"
    client.get(page)
    tag = client.get(page, headers=PARTIAL).headers["HX-PTag"]
    first = usage(site, job_id)
    assert parsed(first.text).one("div", id="usage-poll").attributes["hx-ptag"] == first.headers["HX-PTag"]
    assert usage(site, job_id, **{"HX-PTag": first.headers["HX-PTag"]}).status_code == 304
    add_samples(site, job_id, (0, 1.0, MIB))
    assert client.get(page, headers={**PARTIAL, "HX-PTag": tag}).status_code == 304  # no news for the page
    news = usage(site, job_id, **{"HX-PTag": first.headers["HX-PTag"]})
    assert (news.status_code, "Newest sample 12:04:00" in parsed(news.text).words) == (200, True)
    assert usage(site, 999).status_code == 404
    assert client.get(f"/dashboard/_/jobs/{job_id}/usage").location == page  # typed by somebody


@pytest.mark.parametrize(
    "edit",
    ["at = 'x'", "cpu = 'x', rss = 'y'", "cpu = 9e999, rss = 9e999", "attempt = 'x'", "rss = x'ff'",
     "threads = 'x'", "cpu = -1, rss = -1"],
)  # fmt: skip
@pytest.mark.parametrize("status", ["running", "completed"])
def test_edited_samples_are_shown(site: Site, edit: str, status: str) -> None:
    job_id = site.dispatch()
    site.change(job_id, status=status, attempt=1)
    add_samples(site, job_id, (0, 1.0, MIB), (1, 2.0, MIB))
    site.execute(f"UPDATE job_samples SET {edit}")
    assert site.get(f"/dashboard/jobs/{job_id}").status_code == 200
    assert usage(site, job_id).status_code == 200


# -- the processes -----------------------------------------------------------------------------------

PARENT = """
import subprocess, sys
code = "print('ready', flush=True); input()"
subprocess.run([sys.executable, "-c", code, "--password", "hunter" + "22-canary", "<b>\\x1b"])
"""


@pytest.fixture
def family() -> Iterator[ProcessIdentity]:
    """A process with a child that has a password in its command line."""
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield identity_of(process.pid, start_time(process.pid) or "")
        process.communicate()


def tree_of(site: Site, job_id: int) -> list[Element]:
    rows = parsed(usage(site, job_id).text).all("div", class_="tree")
    return rows[0].one("tbody").all("tr") if rows else []


def test_the_family_of_a_process(family: ProcessIdentity) -> None:
    found = family_of(family)
    assert found is not None
    parent, child = found.members
    assert (parent.pid, parent.depth, child.depth, found.is_cut) == (family.pid, 0, 1, False)
    assert parent.rss > 1000
    assert parent.threads == 1
    assert "-c" in child.command
    first = family_of(family, most=1)
    assert first is not None
    assert (len(first.members), first.is_cut) == (1, True)
    assert len(family_of(family, deepest=0).members) == 1  # type: ignore[union-attr]


def test_the_processes_of_a_running_job(site: Site, family: ProcessIdentity) -> None:
    job_id = site.dispatch()
    site.change(job_id, status="running", backend="local", **family.columns())
    parent, child = tree_of(site, job_id)
    assert parent.attributes["id"] == f"process-{family.pid}"
    assert child.one("th").attributes["class"] == "tree-1"
    assert f"--password {MASK} <b>\\x1b" in child.words
    assert "hunter22" not in usage(site, job_id).text


@pytest.mark.parametrize(
    "values",
    [
        {"process_started": "1"},  # its pid is another's by now
        {"boot_id": "another"},
        {"host": "another"},
        {"pid_namespace": "another"},
        {"status": "completed"},
        {"backend": "inline"},
        {"pid": None},
        {"pid": 1},
        {"pid": 2**31 - 1},
        {"pid": -1},
        {"host": None, "boot_id": None},
    ],
)
def test_no_other_process_is_ever_shown(site: Site, family: ProcessIdentity, values: dict[str, Any]) -> None:
    job_id = site.dispatch()
    site.change(job_id, **{"status": "running", "backend": "local", **family.columns(), **values})
    assert tree_of(site, job_id) == []
    assert str(family.pid) not in usage(site, job_id).text


def test_a_process_that_ends_is_gone(site: Site, family: ProcessIdentity) -> None:
    job_id = site.dispatch()
    site.change(job_id, status="running", backend="local", **family.columns())
    os.kill(family.pid, 9)
    deadline = time.monotonic() + 10
    while family.judge() == "alive":
        assert time.monotonic() < deadline
    assert tree_of(site, job_id) == []


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (["python", "job.py"], "python job.py"),
        (["x", "--password", "s3cret", "next"], f"x --password {MASK} next"),
        (["x", "--api-key=s3cret"], f"x --api-key={MASK}"),
        (["env", "PGPASSWORD=s3cret", "psql"], f"env PGPASSWORD={MASK} psql"),
        (["curl", "-H", "Authorization: Bearer s3cret"], f"curl -H Authorization: {MASK}"),
        (["sh", "-c", "x=1; PGPASSWORD=s3cret psql"], f"sh -c x=1; PGPASSWORD={MASK}"),
        (["x", '{"to": "ada", "password": "s3cret"}'], f'x {{"to": "ada", "password": {MASK}'),
        (["x", "https://shop/?a=1&token=s3cret"], f"x https://shop/?a=1&token={MASK}"),
        (["--password="], "--password="),
        (["psql", "postgresql://ada:s3cret@db/shop"], f"psql postgresql://{MASK}@db/shop"),
        (["echo", "known-secret"], f"echo {MASK}"),
        (["a\nb", "\x1b[31m", "\u202e", "\udcff"], "a\\x0ab \\x1b[31m \\u202e \\udcff"),
        (["x" * 1000], "x" * 159 + "…"),
        (["--token"], "--token"),
        ([], ""),
    ],
)
def test_a_command_line(command: list[str], expected: str) -> None:
    assert shown_command(command, Redactor(), {"known-secret"}) == expected


def test_a_huge_command_line_is_shown_quickly() -> None:
    started = time.monotonic()
    shown_command(["=" * 2_000_000, *["--password"] * 200_000], Redactor())
    assert time.monotonic() - started < 2


def test_processes_are_looked_at_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    used = iter([1.0, 1.5, 9.0])
    member = Member(7, 0, ("x",), 1, 0.0, 1, 5.0)
    looked: list[Family] = []

    def look(identity: Any) -> Family:
        looked.append(Family((Member(7, 0, ("x",), 1, next(used), 1, 5.0),), False))
        return looked[-1]

    monkeypatch.setattr(process_tree, "family_of", look)
    looks, identity = Looks(), identity_of(7, "5")
    assert looks.look(identity, 100.0).shares == {}
    assert looks.look(identity, 100.9).shares == {}
    assert looks.look(identity, 102.0).shares == {(7, 5.0): 25.0}
    assert len(looked) == 2
    for pid in range(200):
        monkeypatch.setattr(process_tree, "family_of", lambda identity: Family((member,), False))
        looks.look(identity_of(pid, "5"), 200.0)
    assert len(looks._looks) <= 101


def test_a_pid_that_is_used_again_has_no_share_of_the_one_before() -> None:
    before = Look(0.0, Family((Member(7, 0, (), 1, 5.0, 1, 1.0),), False), {})
    after = Family((Member(7, 0, (), 1, 6.0, 1, 2.0),), False)
    assert process_tree._shares(before, after, 1.0) == {}

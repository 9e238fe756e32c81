"""S1, S2: a class name from outside is a key of the approved list, never something to import or to repair."""

import os
import subprocess
import sys
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgjobs import ExampleJob
from bgjobs.approval import Approval
from bgjobs.exceptions import ClassNotApproved, JobRunnerException

NAME = "test_refused_classes.MailJob"

_telltale = {"import", "exec", "compile", "open", "os.system", "os.exec", "os.posix_spawn", "subprocess.Popen"}
_seen = None


def _watch(event, args):
    if _seen is not None and event in _telltale:
        _seen.append((event, args))


sys.addaudithook(_watch)


@contextmanager
def nothing_is_imported_or_run():
    global _seen
    modules = set(sys.modules)
    _seen = []
    try:
        yield
        assert _seen == []
        assert set(sys.modules) == modules
    finally:
        _seen = None


class MailJob:
    def send(self, to):
        return to


class MailJobOfSomebodyElse(MailJob):
    pass


def a_forged_class():
    return type("MailJob", (), {"__module__": "test_refused_classes", "send": os.system})


@pytest.fixture(scope="module")
def site(make_site):
    site = make_site(MailJob)
    site.dispatch(MailJob, "send", ["warm"])
    return site


ATTACKS = [
    "os.system",
    "subprocess.Popen",
    "builtins.eval",
    "builtins.exec",
    "posixpath.os.system",
    "antigravity",
    "this",
    "xmlrpc.server.SimpleXMLRPCServer",
    "bgjobs.runner.Runner",
    "bgjobs.runner.custom_background_job_runner.CustomBackgroundJobRunner",
    "bgjobs.BackgroundJobs",
    "test_refused_classes",
    "test_refused_classes.os.system",
    "test_refused_classes.MailJobOfSomebodyElse",
    f"{NAME}.__init__",
    f"{NAME}.__class__",
    f"{NAME}.send",
    f"{NAME}.send.__globals__",
    "MailJob",
    ".MailJob",
    "..x",
    "a:b",
    "a/b",
    "test_refused_classes:MailJob",
    "test_refused_classes/MailJob",
    "../../etc/passwd",
    "",
    " ",
    ".",
    "x" * 10_000,
    f"{NAME}{'x' * 10_000}",
    "__main__.MailJob",
    "%s",
    "{0.__class__}",
    "\x1b[2J",
    "\ud800",
]

LOOK_ALIKES = [
    f"{NAME}2",
    NAME[:-1],
    NAME.upper(),
    NAME.lower(),
    NAME.replace("M", "Ｍ"),
    NAME.replace("a", "а"),
    f"{NAME}\n",
    f"\n{NAME}",
    f"{NAME}\0",
    f"{NAME}\0.png",
    f"{NAME} ",
    f" {NAME}",
    f"{NAME}\t",
    f"{NAME}\u200d",
    f"{NAME}\u200b",
    f"\ufeff{NAME}",
    f"{NAME}\u202e",
    NAME.replace(".", ".."),
    NAME.replace(".", "．"),
    NAME.replace(".", "\u2024"),
    f"{NAME}.",
    f".{NAME}",
]

NO_NAMES = [
    None,
    True,
    0,
    3.5,
    b"test_refused_classes.MailJob",
    bytearray(b"x"),
    ["test_refused_classes.MailJob"],
    {"class": NAME},
    (NAME,),
    object(),
    os,
    os.system,
    int,
    str,
    type,
    object,
    subprocess.Popen,
    MailJob(),
    MailJob.send,
    MailJobOfSomebodyElse,
    a_forged_class(),
    type("Text", (str,), {})(NAME),
]


@pytest.mark.parametrize(
    "name", [*ATTACKS, *LOOK_ALIKES, *NO_NAMES], ids=lambda name: ascii(name).partition(" at 0x")[0][:40]
)
def test_what_is_not_exactly_an_approved_class_is_refused_and_nothing_happens(site, name):
    before = site.count()
    with site.app.app_context():
        from bgjobs import run_background_job

        with nothing_is_imported_or_run(), pytest.raises(ClassNotApproved) as refused:
            run_background_job(name, "send", ["a@example.org"])
    assert site.count() == before
    message = str(refused.value)
    assert "@jobs.approve" in message
    assert len(message) < 300
    assert message.isprintable()


@given(name=st.text())
def test_no_text_but_the_name_itself_is_approved(name):
    approval = Approval()
    approval.add([MailJob])
    if name != NAME:
        with pytest.raises(ClassNotApproved):
            approval.call(name, "send", ["a"])


@given(
    at=st.integers(0, len(NAME)),
    what=st.sampled_from(["", ".", "_", " ", "\n", "\r", "\0", "\u200d", "\u0301", "Ａ", "a", "A", "0", "/", ":"]),
    instead=st.booleans(),
)
def test_a_name_that_differs_in_one_character_is_refused(at, what, instead):
    name = NAME[:at] + what + NAME[at + instead :]
    approval = Approval()
    approval.add([MailJob])
    if name == NAME:
        assert approval.call(name, "send", ["a"]).job_class is MailJob
    else:
        with pytest.raises(ClassNotApproved):
            approval.call(name, "send", ["a"])


def test_the_name_itself_and_the_class_itself_are_the_same_call(site):
    by_name, by_class = site.dispatch(NAME, "send", ["a"]), site.dispatch(MailJob, "send", ["a"])
    assert site.row(by_name.id).class_name == site.row(by_class.id).class_name == NAME
    assert by_name.status == by_class.status == "completed"


def test_the_refusal_is_one_of_the_family_and_carries_the_name(site):
    with pytest.raises(JobRunnerException) as refused:
        site.dispatch("os.system", "send")
    assert refused.value.class_name == "os.system"
    assert "os.system is not an approved job class" in str(refused.value)


def test_a_site_that_approves_nothing_else_runs_the_example_job_and_nothing_else(make_site):
    site = make_site()
    assert site.dispatch("bgjobs.example_job.ExampleJob", "run").status == "completed"
    with pytest.raises(ClassNotApproved):
        site.dispatch(MailJob, "send", ["a"])


def test_the_example_job_is_not_approved_where_the_runner_lists_other_classes(make_site):
    from bgjobs import CustomBackgroundJobRunner

    class Runner(CustomBackgroundJobRunner):
        approved_classes = [MailJob]

    site = make_site(runner_class=Runner)
    assert site.dispatch(NAME, "send", ["a"]).status == "completed"
    with pytest.raises(ClassNotApproved):
        site.dispatch(ExampleJob, "run")

"""What is said of a process that ended without a word: a table of endings and the words for them."""

import signal

import pytest

from bgjobs.processes.out_of_memory import OutOfMemoryCounter
from bgjobs.runner.lost import LINES_IN_DETAIL, Traces, describe_end, lost
from bgjobs.runner.outcome import Execution, Outcome

JOB = Execution(7, "app.Job", "run", {}, 0, 3, 5.0, 2.0, "t", 1)

ENDINGS = [
    (Traces(None), "the process is gone and nobody saw how it ended"),
    (Traces(0), "the process left with exit status 0 before the job was done"),
    (Traces(3), "the process left with exit status 3 before the job was done"),
    (Traces(3, by_us=True), "the process left with exit status 3 before the job was done"),
    (Traces(-9, by_us=True), "killed by signal 9 (SIGKILL), by bgjobs"),
    (Traces(-9, by_us=True, out_of_memory="yes"), "killed by signal 9 (SIGKILL), by bgjobs"),
    (Traces(-9, out_of_memory="yes"), "killed by signal 9 (SIGKILL) by the kernel: out of memory"),
    (
        Traces(-9, out_of_memory="probably"),
        "killed by signal 9 (SIGKILL) probably by the kernel: at that moment the host was out of memory",
    ),
    (
        Traces(-9, out_of_memory="no"),
        "killed by signal 9 (SIGKILL) from outside; not by the kernel for lack of memory",
    ),
    (Traces(-9), "killed by signal 9 (SIGKILL) from outside; probably by the kernel, out of memory"),
    (Traces(-15), "killed by signal 15 (SIGTERM) from outside"),
    (Traces(-11), "killed by signal 11 (SIGSEGV): it crashed"),
    (Traces(-6), "killed by signal 6 (SIGABRT): it crashed"),
    (Traces(-62), "killed by signal 62 (unknown) from outside"),
]


@pytest.mark.parametrize(("traces", "words"), ENDINGS)
def test_how_it_ended_and_who_ended_it(traces, words):
    assert describe_end(traces) == words


PROGRESS = [
    (None, None),
    ([3, 10, "row 3"], "3 of 10, row 3"),
    ((3.0, 10.0, None), "3 of 10"),
    ([0.5, None, None], "0.5"),
    ([3, None, "a\nb"], "3, a\\x0ab"),
    (["x", [], {}], "?"),
    ("abc", None),
    ([1, 2], None),
    ({"a": 1}, None),
]


@pytest.mark.parametrize(("progress", "words"), PROGRESS)
def test_the_last_progress(progress, words):
    message = lost(JOB, Traces(1, progress=progress)).exception_message
    assert message.partition("; last progress: ")[2] == (words or "")


def test_everything_that_is_known_stands_on_one_line_and_more_in_the_detail():
    output = "".join(f"line {number}\n" for number in range(200)) + "\x1b[1m\n\n"
    usage = Outcome("lost", peak_rss=200 * 2**20, cpu_seconds=1.25)
    outcome = lost(JOB, Traces(-9, out_of_memory="yes", progress=[1, 2, None], output=output), usage)
    assert (outcome.kind, outcome.exit_status, outcome.retry_in) == ("lost", -9, 5.0)
    assert (outcome.peak_rss, outcome.cpu_seconds) == (200 * 2**20, 1.25)
    assert outcome.exception_message == (
        "killed by signal 9 (SIGKILL) by the kernel: out of memory; peak memory 200.0 MiB; 1.2 s of CPU; "
        "last progress: 1 of 2; last output: line 196 / line 197 / line 198 / line 199 / \\x1b[1m"
    )
    lines = outcome.traceback.splitlines()
    assert len([line for line in lines if line.startswith("  line ")]) == LINES_IN_DETAIL - 2
    assert "line 150" not in outcome.traceback
    assert "line 199" in outcome.traceback


def test_a_process_that_printed_a_novel_does_not_make_the_error_one():
    outcome = lost(JOB, Traces(1, output=f"{'x' * 16_000}\n" * 3))
    assert len(outcome.exception_message) < 1000
    assert len(outcome.traceback) < 4000


@pytest.mark.parametrize(("output", "end"), [(None, ""), ("", "It printed nothing that was kept.\n")])
def test_nothing_is_said_of_an_output_that_nobody_looked_at(output, end):
    detail = lost(JOB, Traces(-15, output=output)).traceback
    assert detail == f"The process did not see the job through: killed by signal 15 (SIGTERM) from outside.\n{end}"


def test_there_is_no_retry_without_retries_left():
    job = Execution(7, "app.Job", "run", {}, 3, 3, 5.0, 2.0, "t", 1)
    assert lost(job, Traces(-signal.SIGKILL)).retry_in is None


# -- the kernel's counter --------------------------------------------------------------------------------

V2, V1 = "low 0\nhigh 0\nmax 7\noom 2\noom_kill {}\noom_group_kill 0\n", "oom_kill_disable 0\noom_kill {}\n"
VMSTAT = "nr_free_pages 1\noom_kill {}\nnuma_hit 4\n"


@pytest.mark.parametrize("layout", [V2, V1])
def test_our_groups_counter_tells_for_sure(tmp_path, layout):
    file = tmp_path / "events"
    file.write_text(layout.format(4))
    counter = OutOfMemoryCounter([str(tmp_path / "nothing"), str(file)])
    assert counter.verdict() == "no"
    file.write_text(layout.format(5))
    assert counter.verdict() == "yes"
    counter.look()
    assert counter.verdict() == "yes"  # the look may have come between the kill and its news
    counter.look()
    assert counter.verdict() == "no"


def test_without_a_group_that_of_the_host_tells_what_it_can(tmp_path):
    file = tmp_path / "vmstat"
    file.write_text(VMSTAT.format(1))
    counter = OutOfMemoryCounter([str(tmp_path / "nothing")], str(file))
    assert counter.verdict() == "no"
    file.write_text(VMSTAT.format(2))
    assert counter.verdict() == "probably"


@pytest.mark.parametrize("text", [None, "", "oom_kill x\n", "oom_kill\n", "\xff\n"])
def test_without_any_counter_nothing_is_known(tmp_path, text):
    file = tmp_path / "vmstat"
    if text is not None:
        file.write_text(text)
    counter = OutOfMemoryCounter([], str(file))
    counter.look()
    assert counter.verdict() == "unknown"


def test_this_machine_can_be_asked():
    counter = OutOfMemoryCounter()
    counter.look()
    assert counter.verdict() in ("yes", "probably", "no", "unknown")

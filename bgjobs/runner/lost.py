"""The outcome of a process that ended without a word: what is known of it, in words."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import humanize

from bgjobs.exceptions import JobProcessLost
from bgjobs.redaction import escape, shorten
from bgjobs.runner.outcome import Execution, Outcome

LINES_IN_ERROR, LINES_IN_DETAIL = 5, 50
"""Lines of output that the error quotes, and those that stand in the detail of the attempt."""
_LONGEST_QUOTE, _LONGEST_LINE = 200, 1000

OutOfMemory = Literal["yes", "probably", "no", "unknown"]
"""Whether the kernel killed the process for lack of memory."""

# A process brings these on itself.
_CRASHES = (
    signal.SIGSEGV,
    signal.SIGBUS,
    signal.SIGILL,
    signal.SIGFPE,
    signal.SIGABRT,
    signal.SIGTRAP,
    signal.SIGSYS,
)
_MEMORY_VERDICTS = {
    "yes": "by the kernel: out of memory",
    "probably": "probably by the kernel: at that moment the host was out of memory",
    "no": "from outside; not by the kernel for lack of memory",
    "unknown": "from outside; probably by the kernel, out of memory",
}


@dataclass(frozen=True, slots=True)
class Traces:
    """What a process that ended without a word left behind.

    ``exit_status`` is negative for a signal and None where nobody could see it; ``by_us`` says that we sent
    the signal; ``progress`` is what the job said last: done, total, message; ``output`` is the end of what it
    printed, None where nobody looked; ``silent_host`` is the one that ran it and has not been heard of for
    ``silent_for`` seconds.
    """

    exit_status: int | None = None
    by_us: bool = False
    out_of_memory: OutOfMemory = "unknown"
    progress: Sequence[Any] | None = None
    output: str | None = None
    silent_host: str | None = None
    silent_for: float = 0.0


def lost(job: Execution, traces: Traces, usage: Outcome | None = None) -> Outcome:
    """A lost execution is an attempt that failed, to be repeated like any other. ``usage`` carries the memory
    and CPU time that were measured."""
    return told_of(traces, usage or Outcome("lost"))._replace(
        kind="lost",
        exception_type=JobProcessLost.__name__,
        retry_in=job.policy.delay_after(job.retry_count) if job.policy.allows(job.retry_count) else None,
    )


def told_of(traces: Traces, usage: Outcome, because: str = "") -> Outcome:
    """``usage`` with all that is known: one line of error, which begins with ``because``, and the detail."""
    facts = [describe_end(traces), *_facts(traces, usage)]
    lines = [escape(line.strip()) for line in (traces.output or "").splitlines() if line.strip()]
    if lines:
        quoted = " / ".join(shorten(line, _LONGEST_QUOTE) for line in lines[-LINES_IN_ERROR:])
        facts.append(f"last output: {quoted}")
    return usage._replace(
        exit_status=traces.exit_status,
        exception_message=f"{because}{'; '.join(facts)}",
        traceback="".join(f"{line}\n" for line in _detail(traces, usage)),
    )


def describe_end(traces: Traces) -> str:
    """How the process ended, and who ended it."""
    if traces.silent_host is not None:
        host = escape(shorten(traces.silent_host, _LONGEST_QUOTE))
        return f"the host {host} has not been heard of for {traces.silent_for:g} s"
    words = describe_exit(traces.exit_status)
    if traces.exit_status is None or traces.exit_status >= 0:
        return words
    if traces.by_us:
        return f"{words}, by bgjobs"
    if -traces.exit_status in _CRASHES:
        return f"{words}: it crashed"
    if traces.exit_status == -signal.SIGKILL:
        return f"{words} {_MEMORY_VERDICTS[traces.out_of_memory]}"
    return f"{words} from outside"


def describe_exit(exit_status: int | None) -> str:
    """``exit_status`` in words: negative is the signal that ended the process, None is not known."""
    if exit_status is None:
        return "the process is gone and nobody saw how it ended"
    if exit_status >= 0:
        return f"the process left with exit status {exit_status} before the job was done"
    try:
        name = signal.Signals(-exit_status).name
    except ValueError:
        name = "unknown"
    return f"killed by signal {-exit_status} ({name})"


def _facts(traces: Traces, usage: Outcome) -> Iterator[str]:
    if usage.peak_rss:
        yield f"peak memory {humanize.naturalsize(usage.peak_rss, binary=True)}"
    if usage.cpu_seconds is not None:
        yield f"{usage.cpu_seconds:.1f} s of CPU"
    if progress := _progress(traces.progress):
        yield f"last progress: {progress}"


def _progress(progress: Any) -> str:
    """It came from the process of the job, so it may be anything."""
    if not isinstance(progress, list | tuple) or len(progress) != 3:
        return ""
    done, total, message = progress
    share = f"{done:g}" if isinstance(done, int | float) else "?"
    if isinstance(total, int | float):
        share += f" of {total:g}"
    return f"{share}, {escape(shorten(message, _LONGEST_QUOTE))}" if isinstance(message, str) else share


def _detail(traces: Traces, usage: Outcome) -> Iterator[str]:
    yield f"The process did not see the job through: {describe_end(traces)}."
    yield from (f"  {fact}" for fact in _facts(traces, usage))
    if traces.output is None:
        return
    lines = traces.output.splitlines()[-LINES_IN_DETAIL:]
    if lines:
        yield f"The end of its output (the last {LINES_IN_DETAIL} lines at the most):"
        yield from (f"  {shorten(line, _LONGEST_LINE)}" for line in lines)
    else:
        yield "It printed nothing that was kept."

"""The outcome of a process that ended without a word: what is known of it, in words."""

from __future__ import annotations

import signal
from dataclasses import replace

import humanize

from bgjobs.exceptions import JobProcessLost
from bgjobs.runner.outcome import Execution, Outcome

OUTPUT_LINES = 5
"""Lines of output that the error quotes; the page of the job shows the rest."""


def lost(job: Execution, exit_status: int | None, seen: Outcome | None = None, output: str = "") -> Outcome:
    """A lost execution is an attempt that failed, to be repeated like any other.

    ``exit_status`` is negative for a signal and None where nobody could see it; ``seen`` carries the
    memory and CPU time that were measured; ``output`` is the end of what the process printed.
    """
    seen = seen or Outcome("lost")
    facts = [describe_exit(exit_status)]
    if seen.peak_rss:
        facts.append(f"peak memory {humanize.naturalsize(seen.peak_rss, binary=True)}")
    lines = [line for line in output.splitlines() if line.strip()][-OUTPUT_LINES:]
    if lines:
        facts.append(f"last output: {' / '.join(lines)}")
    return replace(
        seen,
        kind="lost",
        exception_type=JobProcessLost.__name__,
        exception_message="; ".join(facts),
        exit_status=exit_status,
        retry_in=job.policy.delay_after(job.retry_count) if job.policy.allows(job.retry_count) else None,
    )


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
    hint = " – often the kernel, out of memory" if exit_status == -signal.SIGKILL else ""
    return f"killed by signal {-exit_status} ({name}){hint}"

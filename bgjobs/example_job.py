"""A job class to try things out with: one public method for each way a job can go."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from bgjobs.role import role
from bgjobs.runner.current_job import current_job

LONGEST = 3600.0
MOST_LINES = 10_000


class ExampleJob:
    """Every method is harmless whatever its parameters are: numbers are clamped, texts only printed."""

    def run(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Succeed, after printing the parameters."""
        print(f"ExampleJob.run was called with {args or kwargs or 'no parameters'}")
        return {"received": kwargs or list(args)}

    def slow(self, seconds: float = 10.0, steps: int = 10) -> str:
        """Print a line and report progress at each of ``steps`` steps, over ``seconds`` seconds."""
        steps = int(min(max(steps, 1), MOST_LINES))
        pause = min(max(float(seconds), 0.0), LONGEST) / steps
        for step in range(1, steps + 1):
            time.sleep(pause)
            print(f"step {step} of {steps}", flush=True)
            current_job.progress(step, steps, f"step {step} of {steps}")
        return f"{steps} steps done"

    def flaky(self, failures: int = 1) -> str:
        """Fail as often as ``failures`` says, then succeed: what a retry is for."""
        if current_job.retry_count < failures:
            raise ConnectionError(f"the mail server hung up (retry {current_job.retry_count})")
        return f"succeeded at retry {current_job.retry_count}"

    def fail(self, message: str = "this job always fails") -> None:
        """Raise ``ValueError(message)``, each time."""
        raise ValueError(message)

    def crash(self) -> None:
        """End the process of the job with SIGKILL, as the kernel does when memory runs out.

        Only in a process that is the job's own: inline it would end the caller.
        """
        if role() != "job":
            raise RuntimeError("crash() runs only in a job process of its own, and this is none")
        os.kill(os.getpid(), signal.SIGKILL)

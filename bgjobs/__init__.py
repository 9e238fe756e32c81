"""Background jobs for Flask: one detached process a job, retries, recovery and a live dashboard."""

from importlib import import_module
from typing import TYPE_CHECKING

# At once, because the name is that of its module, too.
from bgjobs.role import role

if TYPE_CHECKING:
    from bgjobs.custom_logger import CustomLogger
    from bgjobs.example_job import ExampleJob
    from bgjobs.exceptions import JobRunnerException
    from bgjobs.extension import BackgroundJobs
    from bgjobs.handle import JobHandle
    from bgjobs.helper import run_background_job, run_background_jobs
    from bgjobs.models import BackgroundJob, JobAttempt, JobLog
    from bgjobs.runner.current_job import current_job
    from bgjobs.runner.custom_background_job_runner import CustomBackgroundJobRunner

# Where the other names come from, at their first use: a supervisor imports parts of this package, and has no use
# for Flask, for the dashboard and for the command line.
_HOMES = {
    "BackgroundJob": "bgjobs.models",
    "BackgroundJobs": "bgjobs.extension",
    "CustomBackgroundJobRunner": "bgjobs.runner.custom_background_job_runner",
    "CustomLogger": "bgjobs.custom_logger",
    "ExampleJob": "bgjobs.example_job",
    "JobAttempt": "bgjobs.models",
    "JobHandle": "bgjobs.handle",
    "JobLog": "bgjobs.models",
    "JobRunnerException": "bgjobs.exceptions",
    "current_job": "bgjobs.runner.current_job",
    "run_background_job": "bgjobs.helper",
    "run_background_jobs": "bgjobs.helper",
}

__all__ = [
    "BackgroundJob",
    "BackgroundJobs",
    "CustomBackgroundJobRunner",
    "CustomLogger",
    "ExampleJob",
    "JobAttempt",
    "JobHandle",
    "JobLog",
    "JobRunnerException",
    "current_job",
    "role",
    "run_background_job",
    "run_background_jobs",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

"""Background jobs for Flask: one detached process a job, retries, recovery and a live dashboard."""

from bgjobs.custom_logger import CustomLogger
from bgjobs.example_job import ExampleJob
from bgjobs.exceptions import JobRunnerException
from bgjobs.extension import BackgroundJobs
from bgjobs.handle import JobHandle
from bgjobs.helper import run_background_job, run_background_jobs
from bgjobs.models import BackgroundJob, JobAttempt, JobLog
from bgjobs.role import role
from bgjobs.runner.current_job import current_job
from bgjobs.runner.custom_background_job_runner import CustomBackgroundJobRunner

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

"""``flask run-job`` and ``flask bgjobs …``."""

from bgjobs.cli import acting, looking, moving, operating  # noqa: F401 - each adds its commands
from bgjobs.cli.group import bgjobs_commands
from bgjobs.cli.run_job import run_job_command

__all__ = ["bgjobs_commands", "run_job_command"]

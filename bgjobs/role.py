"""Which of our processes this is."""

from __future__ import annotations

import os
from typing import Literal, cast

Role = Literal["web", "supervisor", "fork server", "job"]
# An environment variable, because a process that is executed anew knows its role only from outside.
VARIABLE = "BGJOBS_ROLE"


def role() -> Role:
    """``"web"`` (any process of the application's own), ``"supervisor"``, ``"fork server"`` or ``"job"``."""
    return cast(Role, os.environ.get(VARIABLE, "web"))


def become(new_role: Role) -> None:
    """Say which role this process has from now on."""
    os.environ[VARIABLE] = new_role

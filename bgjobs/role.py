"""Which of our processes this is."""

from __future__ import annotations

import os
from typing import Literal, cast

Role = Literal["web", "supervisor", "fork server", "job"]

VARIABLE = "BGJOBS_ROLE"
"""How a process that is executed anew learns its role. What it executes in turn is none of ours any more."""

_role = cast(Role, os.environ.pop(VARIABLE, "web"))


def role() -> Role:
    """``"web"`` (any process of the application's own), ``"supervisor"``, ``"fork server"`` or ``"job"``."""
    return _role


def become(new_role: Role) -> None:
    """Say which role this process has from now on."""
    global _role
    _role = new_role

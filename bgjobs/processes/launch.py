"""How a process of ours is started: a clean environment, no descriptor too many, no secret in its arguments."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bgjobs.role import VARIABLE, Role

_BOOT = str(Path(__file__).with_name("boot.py"))

# What belongs to one server process or one request and means something else, or something false, in ours.
_FOREIGN = re.compile(
    r"WERKZEUG_.*|LISTEN_(FDS|PID|FDNAMES)|NOTIFY_SOCKET|WATCHDOG_.*|GUNICORN_(FD|PID|CMD_ARGS)|SERVER_SOFTWARE"
    r"|HTTP_.*|GATEWAY_INTERFACE|REQUEST_METHOD|REQUEST_URI|QUERY_STRING|PATH_INFO|PATH_TRANSLATED|SCRIPT_NAME"
    r"|CONTENT_(LENGTH|TYPE)|REMOTE_(ADDR|HOST|IDENT|USER|PORT)|AUTH_TYPE|SERVER_(NAME|PORT|PROTOCOL)"
)


def clean_environment(role: Role, environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment for a process of ours in ``role``."""
    source = os.environ if environment is None else environment
    kept = {key: value for key, value in source.items() if not _FOREIGN.fullmatch(key)}
    return {**kept, VARIABLE: role}


def start(
    module: str,
    role: Role,
    *,
    channel: int = -1,
    detach: bool = False,
    output: int | None = None,
    stdin: int = subprocess.DEVNULL,
    keep_open: Sequence[int] = (),
    environment: Mapping[str, str] | None = None,
    ahead: tuple[str, Role] | None = None,
) -> subprocess.Popen[bytes]:
    """Start ``module`` in a fresh interpreter and a session of its own.

    ``channel`` is a descriptor that its ``main()`` gets, ``output`` where its standard output and error
    go. With ``detach`` the returned process is only the midwife: wait for it, it leaves in milliseconds.
    ``ahead`` is the module and the role of a child that the new process starts before all else (:mod:`.boot`).
    """
    arguments = [python(), "-P", _BOOT, module, str(int(detach)), str(channel), *(ahead or ())]
    descriptors = [fd for fd in (channel, *keep_open) if fd >= 0]
    where: Any = subprocess.DEVNULL if output is None else output
    return subprocess.Popen(
        arguments,
        stdin=stdin,
        stdout=where,
        stderr=where,
        env={**clean_environment(role), **(environment or {})},
        pass_fds=descriptors,
        start_new_session=True,
    )


def python() -> str:
    """The interpreter. Inside an embedding server ``sys.executable`` may be that server."""
    executable = sys.executable or ""
    if os.path.basename(executable).startswith(("python", "pypy")):
        return executable
    return str(Path(sys.exec_prefix, "bin", "python3"))

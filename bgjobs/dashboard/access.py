"""Who may see the dashboard, and who may act on it. Closed unless somebody opened it."""

from __future__ import annotations

import ipaddress
from typing import Literal

from flask import Request, current_app, g, request
from werkzeug.wrappers import Response

from bgjobs.app_state import app_state
from bgjobs.custom_logger import console
from bgjobs.dashboard.problems import CLOSED, NOT_YOU, READ_ONLY, Refused

Access = Literal["all", "read"]

# Any of these means that somebody else is at the other end, whatever address the socket has.
_FORWARDING_HEADERS = (
    "Forwarded",
    "Via",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Forwarded-Server",
    "X-Real-IP",
    "X-Client-IP",
    "X-Cluster-Client-IP",
    "True-Client-IP",
    "CF-Connecting-IP",
)


def check_access() -> Response | None:
    """Let the request pass, and note how far it may go; raise :class:`Refused`; or give the answer that the
    application's own function has instead, such as a way to its login page."""
    rule = app_state().settings.dashboard_access
    if rule is None:
        answer: object = current_app.debug and from_this_computer(request)
        refusal = CLOSED
    else:
        answer = rule == "open" or rule(request)
        refusal = NOT_YOU
    if isinstance(answer, Response):
        return answer
    access = _access(answer)
    if access is None:
        raise Refused(refusal)
    g.bgjobs_access = access
    return None


def check_may_act() -> None:
    """Raise :class:`Refused` where the request may only look."""
    if not may_act():
        raise Refused(READ_ONLY)


def may_act() -> bool:
    return bool(g.get("bgjobs_access") == "all")


def who() -> str | None:
    """Who is asking, where the access function noted it in ``g.bgjobs_user`` or the web server knows."""
    user = g.get("bgjobs_user") or request.remote_user
    return str(user) if user else None


def from_this_computer(request: Request) -> bool:
    """Whether the request comes from this very computer, straight to us, and under a name that means it.

    The name matters, because any web page can let a name of its own stand for 127.0.0.1. May itself be the
    value of ``BGJOBS_DASHBOARD_ACCESS``.
    """
    # Under ProxyFix, REMOTE_ADDR is what a header says; what it was before is kept.
    before_proxy_fix = request.environ.get("werkzeug.proxy_fix.orig") or {}
    environ = {**request.environ, **{key: value for key, value in before_proxy_fix.items() if value is not None}}
    return (
        _is_loopback(str(environ.get("REMOTE_ADDR", "")))
        and not any(name in request.headers for name in _FORWARDING_HEADERS)
        and _names_this_computer(str(environ.get("HTTP_HOST", "")))
    )


def _access(answer: object) -> Access | None:
    if answer == "read":
        return "read"
    if isinstance(answer, str) and answer != "all":
        console.warning('BGJOBS_DASHBOARD_ACCESS answered %r; "all", "read" and False are understood.', answer)
        return None
    return "all" if answer else None


def _names_this_computer(host: str) -> bool:
    name = host.rpartition("]")[0].lstrip("[") if host.startswith("[") else host.partition(":")[0]
    return name.lower() == "localhost" or _is_loopback(name)


def _is_loopback(address: str) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return bool((mapped or found).is_loopback)

"""Who may see the dashboard, and who may act on it. Closed unless somebody opened it."""

from __future__ import annotations

import ipaddress
from collections.abc import Set

from flask import Request, current_app, g, request
from werkzeug.wrappers import Response

from bgjobs.app_state import app_state
from bgjobs.custom_logger import console
from bgjobs.dashboard.problems import CLOSED, NOT_THAT, NOT_YOU, READ_ONLY, Refused

ACTIONS = frozenset({"retry", "edit", "cancel", "kill", "pause", "delete", "queues"})
"""What an access function can allow one by one. "edit" is to retry with other parameters, "pause" to pause and
resume a running job, "queues" to pause and resume a queue."""

# Whoever may do one of them may do the other: an undo cancels what waits again.
_SAME_RIGHT = {"resume": "pause", "undo": "cancel"}

# The files of ours are in the package, too; and the progress of one job has a ticket of its own.
_FOR_EVERYBODY = ("static", "progress")

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


def is_for_everybody() -> bool:
    """Whether the request needs nobody's leave."""
    return (request.endpoint or "").rpartition(".")[2] in _FOR_EVERYBODY


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
    actions = _allowed_by(answer)
    if actions is None:
        raise Refused(refusal)
    g.bgjobs_allowed = actions
    return None


def check_may(action: str | None) -> None:
    """Raise :class:`Refused` where the request may not do that; None: what takes every right."""
    if not (may(action) if action else may_everything()):
        raise Refused(NOT_THAT if allowed() else READ_ONLY)


def may(action: str) -> bool:
    return _SAME_RIGHT.get(action, action) in allowed()


def may_everything() -> bool:
    return allowed() == ACTIONS


def allowed() -> Set[str]:
    """The actions that this request may take."""
    found: frozenset[str] = g.get("bgjobs_allowed", frozenset())
    return found


def action_of_request() -> str | None:
    """What a request that acts wants to do; None where no right of its own stands for it. The address says it,
    or, at the address for several jobs, the button that was pressed."""
    named = (request.view_args or {}).get("action", "")
    if request.endpoint == "bgjobs.bulk":
        named = request.form.get("action", "")
    return named if _SAME_RIGHT.get(named, named) in ACTIONS else None


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


def _allowed_by(answer: object) -> frozenset[str] | None:
    """The actions that an answer of the access function allows; None where the door is closed."""
    if answer == "read":
        return frozenset()
    if isinstance(answer, Set | list | tuple):
        unknown = [action for action in answer if action not in ACTIONS]
        if unknown:
            console.warning(
                "BGJOBS_DASHBOARD_ACCESS allowed %r; there are %s.", unknown, ", ".join(sorted(ACTIONS))
            )
        return frozenset(answer) & ACTIONS
    if isinstance(answer, str) and answer != "all":
        console.warning(
            'BGJOBS_DASHBOARD_ACCESS answered %r; "all", "read", a set of actions and False are understood.',
            answer,
        )
        return None
    return ACTIONS if answer else None


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

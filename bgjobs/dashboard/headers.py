"""The headers of every answer of ours. The host's own answers are the host's business."""

from __future__ import annotations

from flask import Response, request

from bgjobs.dashboard.htmx import wants_partial

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_ALWAYS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not "no-referrer": with that a browser sends "Origin: null" with our own forms, too.
    "Referrer-Policy": "same-origin",
}
_A_YEAR = 365 * 24 * 3600


def is_static() -> bool:
    """Whether a file of ours was asked for, which anybody may read: it is in the package, too."""
    return (request.endpoint or "").rpartition(".")[2] == "static"


def add_headers(response: Response) -> Response:
    for name, value in _ALWAYS.items():
        response.headers[name] = value
    if is_static():
        if "v" in request.args and response.status_code == 200:
            # The address has the version in it, so what lies behind it never changes.
            response.headers["Cache-Control"] = f"public, max-age={_A_YEAR}, immutable"
        response.headers.setdefault("Cache-Control", "no-store")
        return response
    for name in ("HX-Request", "HX-Request-Type", "HX-History-Restore-Request"):
        response.vary.add(name)
    # A fragment must never come out of a cache in the place of its page.
    private = response.status_code == 200 and request.method == "GET" and not wants_partial()
    response.headers.setdefault("Cache-Control", "private, no-cache" if private else "no-store")
    return response

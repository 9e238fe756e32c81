"""That a request to act comes from our own pages: two witnesses of the browser's and a token.

The token stands in a cookie and in each form, and both must be the same. Nothing is stored and no
SECRET_KEY is needed: a foreign page can neither read the cookie nor have it sent.
"""

from __future__ import annotations

import hmac
import re
import secrets
from typing import Any
from urllib.parse import urlsplit

from flask import Response, current_app, g, request, url_for

from bgjobs.dashboard.problems import FOREIGN, Refused

COOKIE = "bgjobs_csrf"
FIELD = "csrf_token"
HEADER = "X-CSRFToken"

_is_token = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII).fullmatch


def csrf_token() -> str:
    """The token of this browser, to stand in a form. Made up where it has none yet."""
    known = _token_of_cookie()
    if known is not None:
        return known
    if "bgjobs_csrf" not in g:
        g.bgjobs_csrf = secrets.token_urlsafe(32)
    return str(g.bgjobs_csrf)


def keep_token(response: Response) -> None:
    """Give a token that was made up to the browser."""
    if "bgjobs_csrf" in g:
        response.set_cookie(
            COOKIE,
            g.bgjobs_csrf,
            path=url_for(".overview"),
            secure=request.is_secure,
            httponly=True,
            samesite="Strict",
        )


def check_origin_and_token() -> None:
    """Raise :class:`Refused` unless a page of ours sent this request."""
    if not (sent_from_here() and _token_fits()):
        raise Refused(FOREIGN)


def leave_us_to_ourselves() -> None:
    """Where the application has Flask-WTF's CSRFProtect, take our blueprint out of it: it would ask our forms
    for a token of its own. Called before its check, which may have been set up before or after us."""
    protection: Any = current_app.extensions.get("csrf")
    if hasattr(protection, "exempt") and request.blueprint is not None:
        protection.exempt(current_app.blueprints[request.blueprint])


def sent_from_here() -> bool:
    """What the browser says by itself, which no page can change. It says nothing on plain HTTP but for
    ``Origin``, which some browsers leave out where all is well."""
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    # Only host and port: behind a proxy that ends TLS, we do not know our own scheme.
    return site in (None, "same-origin") and (origin is None or _host_and_port(origin) == request.host.lower())


def _host_and_port(origin: str) -> str:
    url = urlsplit(origin)
    standard_port = {"http": ":80", "https": ":443"}.get(url.scheme, "")
    return url.netloc.lower().removesuffix(standard_port) if standard_port else url.netloc.lower()


def _token_fits() -> bool:
    expected = _token_of_cookie()
    given = request.form.get(FIELD) or request.headers.get(HEADER) or ""
    return expected is not None and hmac.compare_digest(expected.encode(), given.encode("utf-8", "replace"))


def _token_of_cookie() -> str | None:
    value = request.cookies.get(COOKIE, "")
    return value if _is_token(value) else None

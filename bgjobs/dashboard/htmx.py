"""How a page answers htmx: a fragment instead of the page, and nothing at all where nothing is new."""

from __future__ import annotations

import hashlib
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from flask import Response, make_response, render_template, request
from flask_htmx import HTMX

# Never set up on the host's application, which may have its own: it only reads the request.
_htmx = HTMX()


def wants_partial() -> bool:
    """Whether a fragment was asked for. Going back in the history takes a whole page, and so does a request
    whose target is the body."""
    return (
        bool(_htmx)
        and not _htmx.boosted
        and not _htmx.history_restore_request
        and request.headers.get("HX-Request-Type") != "full"
    )


def tag_of(*parts: Any) -> str:
    """A tag for a fragment that is made of ``parts``: frozen dataclasses and plain values."""
    return hashlib.sha256(repr(parts).encode("utf-8", "backslashreplace")).hexdigest()[:20]


def is_shown_already(tag: str) -> bool:
    """Whether the reader has just this fragment: then a poll costs neither queries nor a swap."""
    return wants_partial() and request.headers.get("HX-PTag") == tag


def not_modified(tag: str) -> Response:
    return Response(status=304, headers={"HX-PTag": tag})


def page_or_partial(name: str, tag: str, **values: Any) -> Response:
    """The page ``name``, or only its live part. Both carry ``tag``, which the next poll brings back."""
    return fragment(f"bgjobs/{name}/{'_live' if wants_partial() else 'page'}.html", tag, **values)


def fragment(template: str, tag: str, **values: Any) -> Response:
    """A part of a page that has an address of its own. It carries ``tag``, which the next poll brings back."""
    response = make_response(render_template(template, tag=tag, **values))
    response.headers["HX-PTag"] = tag
    return response


def query_of_the_address_bar() -> dict[str, str]:
    """The query string of the page that sends the request."""
    url = request.headers.get("HX-Current-URL", "")
    try:
        return dict(parse_qsl(urlsplit(url).query, max_num_fields=20))
    except ValueError:
        return {}

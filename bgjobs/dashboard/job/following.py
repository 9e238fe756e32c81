"""What an attempt printed since a page asked last: the answer to ``static/bgjobs/job.js``."""

from __future__ import annotations

from flask import Response

from bgjobs.dashboard.job.transcript import Source, stretch, tail

PLACES = "Output-Places"
"""The header with the places of the text, in bytes: where it starts, where to go on, how far it goes."""
MORE = "Output-More"
"""The header that says when to ask again: "now" or "later". Without it, that was all."""


def news(source: Source, offset: int, seen: int, goes_on: bool) -> Response:
    """What follows ``offset``, where the last line that was shown begins; nothing where ``seen``, how far the
    reader has come, is still the end. An output that was trimmed meanwhile is shown from its end."""
    was_trimmed = max(offset, seen) > source.size
    found = tail(source, goes_on=goes_on) if was_trimmed else stretch(source, offset, goes_on=goes_on)
    if found is None or (found.end == seen and not was_trimmed):
        response = Response(status=204)
    else:
        response = Response(found.text, mimetype="text/plain")
        response.headers[PLACES] = f"{found.start}-{found.following}-{found.end}"
    if goes_on or (found is not None and found.more):
        response.headers[MORE] = "now" if found is not None and found.more else "later"
    return response

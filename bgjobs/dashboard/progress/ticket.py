"""A signed ticket: whoever has it may see how far one job is, and nothing else."""

from __future__ import annotations

import os
from dataclasses import dataclass

from itsdangerous import BadData, SignatureExpired, URLSafeTimedSerializer

from bgjobs.app_state import AppState
from bgjobs.exceptions import ConfigurationError

LASTS = 7 * 24 * 3600
"""Seconds. A page that is older than that has to be loaded anew."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """For which job it is, and whether its result or error may be seen, too."""

    job_id: int
    with_result: bool = False


class NoTicket(Exception):
    """Not one of ours."""


class OldTicket(Exception):
    """One of ours, but too old."""


def token_of(state: AppState, ticket: Ticket) -> str:
    """``ticket`` as a text that fits into an address. Raises :class:`ConfigurationError` without SECRET_KEY."""
    return _signer(state).dumps([ticket.job_id, int(ticket.with_result)])


def ticket_of(state: AppState, token: str) -> Ticket:
    """The ticket that :func:`token_of` made ``token`` of. Raises :class:`NoTicket` and :class:`OldTicket`."""
    try:
        job_id, with_result = _signer(state).loads(token, max_age=LASTS)
    except SignatureExpired as error:
        raise OldTicket from error
    except (BadData, ValueError, TypeError, ConfigurationError) as error:  # without a key there are none
        raise NoTicket from error
    return Ticket(job_id, bool(with_result))


def _signer(state: AppState) -> URLSafeTimedSerializer:
    config = state.app.config
    if not config.get("SECRET_KEY"):
        raise ConfigurationError(
            "The progress of a job is shown by a signed address, and the application has no key to sign it. "
            "Set SECRET_KEY.",
            setting="SECRET_KEY",
        )
    keys = [*(config.get("SECRET_KEY_FALLBACKS") or ()), config["SECRET_KEY"]]
    # The number of a job is one of its database: beside another one, the same number is another job.
    return URLSafeTimedSerializer(keys, salt=f"bgjobs progress {os.path.basename(state.folder.path)}")

"""Fail points: named places at which a test lets a process die, stall or meet an error.

``BGJOBS_FAIL_POINT`` arms them: ``NAME=ACTION``, several of them with commas between. The action is ``kill9``,
``sleep:SECONDS`` or ``raise``. With ``@PATH`` behind it (``outcome.before_commit=kill9@/tmp/x/ticket``) it takes
place only when it can take that file away: once for each time that a test puts the file there, whichever of the
processes comes first, and not again in the one that is started after it.

Every process of ours inherits the variable, so each place says in which of them it counts. Where nothing is armed,
``if ARMED:`` is all that it costs: a job process pays for each function that it calls.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, get_args

from bgjobs.exceptions import ConfigurationError
from bgjobs.role import Role, role

VARIABLE = "BGJOBS_FAIL_POINT"

Action = Literal["kill9", "sleep", "raise"]


class Point(NamedTuple):
    """A place in the code. ``process`` is where it counts; None is whoever comes by, such as a caller."""

    process: Role | None
    when: str


POINTS: Final[Mapping[str, Point]] = {
    "enqueue.before_commit": Point(None, "the job is inserted and not committed"),
    "enqueue.after_commit": Point(None, "the job is committed, and nobody is told of it"),
    "boot.before_lock": Point("supervisor", "it has its order, and neither the lock nor signal handlers"),
    "boot.before_listening": Point("supervisor", "it has both, and its doorbell is not open"),
    "claim.before_commit": Point("supervisor", "jobs are claimed and not committed"),
    "claim.after_commit": Point("supervisor", "the claim is committed, and no process was told to run"),
    "outcome.before_commit": Point("supervisor", "an outcome is written and not committed"),
    "outcome.after_commit": Point("supervisor", "an outcome is committed and not acknowledged"),
    "idle.before_unlock": Point("supervisor", "nothing is left to do, the doorbell is closed, the lock is held"),
    "shutdown.before_release": Point("supervisor", "all is done but to give back the lock"),
    "fork.before": Point("fork server", "it was told to start a process"),
    "fork.after": Point("fork server", "it has started one, and has not noted it"),
    "job.before_ready": Point("job", "the process is there, and has not said so"),
    "job.before_go": Point("job", "it said so, and has not read its job"),
    "run.before": Point("job", "it has read its job, and has not begun"),
    "run.mid": Point("job", "in the midst of a job: the job itself comes here"),
    "outcome.before_report": Point("job", "the work is done and not reported"),
    "outcome.after_report": Point("job", "the outcome is reported and not acknowledged"),
}


class FailPointReached(RuntimeError):
    """What ``raise`` raises. Not one of our own errors: nobody is prepared for it."""


@dataclass(frozen=True, slots=True)
class Charge:
    """What happens at a point."""

    action: Action
    seconds: float = 0.0
    ticket: str | None = None

    def go_off(self, name: str) -> None:
        """Do it, unless there is a ticket to be had and somebody else has it."""
        if self.ticket is not None:
            try:
                os.unlink(self.ticket)
            except FileNotFoundError:
                return
        if self.action == "kill9":
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.action == "sleep":
            time.sleep(self.seconds)
        else:
            raise FailPointReached(name)


def reach(name: str) -> None:
    """The process is at the point ``name``."""
    process = POINTS[name].process
    # A fork server rehearses a job, and is not the process of one.
    if process in (None, role()):
        for charge in _charges.get(name, ()):
            charge.go_off(name)


def charges_of(text: str) -> dict[str, list[Charge]]:
    """What the variable says, by the name of the point. Raises :class:`ConfigurationError`."""
    charges: dict[str, list[Charge]] = {}
    for item in filter(None, text.split(",")):
        name, charge = _charge(item)
        charges.setdefault(name, []).append(charge)
    return charges


def _charge(text: str) -> tuple[str, Charge]:
    name, _, what = text.partition("=")
    what, _, ticket = what.partition("@")
    action, _, seconds = what.partition(":")
    if name not in POINTS:
        raise _refusal(f"{name!r} is no fail point. They are {', '.join(POINTS)}.")
    if action not in get_args(Action) or (action == "sleep") != bool(seconds):
        raise _refusal(f"{what!r} cannot happen at {name}. Write kill9, raise or sleep:SECONDS.")
    try:
        return name, Charge(action, float(seconds or 0), ticket or None)  # type: ignore[arg-type]
    except ValueError:
        raise _refusal(f"{seconds!r} is no number of seconds.") from None


def _refusal(reason: str) -> ConfigurationError:
    return ConfigurationError(f"{VARIABLE}: {reason}", setting=VARIABLE)


_charges: Final = charges_of(os.environ.get(VARIABLE, ""))

ARMED: Final = bool(_charges)
"""Whether it is worth while to call :func:`reach`."""

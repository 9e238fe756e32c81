"""What to write down about an exception, which may be anything at all: its text may raise, hang or be huge."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

MESSAGE_LIMIT = 4_000
TRACEBACK_LIMIT = 64_000
PATIENCE = 2.0
_HERE = Path(__file__).parent
# The files whose frames lead to the job's method.
_LEADING = (str(_HERE / "custom_background_job_runner.py"), str(_HERE.parent / "approval.py"))


def message_of(exception: BaseException) -> str:
    """``str(exception)``, or a sentence that says why there is none."""
    return _within(PATIENCE, lambda: str(exception), "its message took too long")[:MESSAGE_LIMIT]


def traceback_of(exception: BaseException) -> str:
    """The formatted traceback from the job's own frames on, its causes included, without local values."""
    frames = _frames_of_the_job(exception.__traceback__)
    text = _within(
        PATIENCE,
        lambda: "".join(traceback.format_exception(type(exception), exception, frames)),
        "".join(traceback.format_tb(frames)) + type(exception).__name__,
    )
    if len(text) > TRACEBACK_LIMIT:  # both ends count: where it began and where it broke
        half = TRACEBACK_LIMIT // 2
        text = f"{text[:half]}\n… ({len(text) - TRACEBACK_LIMIT:,} characters left out) …\n{text[-half:]}"
    return text


def _frames_of_the_job(frames: TracebackType | None) -> TracebackType | None:
    """The traceback without the frames of bgjobs that lead to the job's method."""
    rest = frames
    while rest is not None and rest.tb_frame.f_code.co_filename in _LEADING:
        rest = rest.tb_next
    return rest or frames


def _within(seconds: float, text: Callable[[], str], otherwise: str) -> str:
    """``text()``, computed in a thread, because the exception's own code may never come back."""
    found: list[str] = []

    def compute() -> None:
        try:
            found.append(str(text()))
        except BaseException as error:  # noqa: BLE001 - the exception's own __str__ may raise anything
            found.append(f"<its text cannot be shown: {type(error).__name__}>")

    thread = threading.Thread(target=compute, daemon=True)
    try:
        thread.start()
    except RuntimeError:  # no room for a thread: a job that used up its memory, for instance
        compute()
    else:
        thread.join(seconds)
    return found[0] if found else f"<{otherwise}>"

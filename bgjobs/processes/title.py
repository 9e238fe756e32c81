"""The name under which ``ps`` shows a process of ours."""

from __future__ import annotations

try:
    import setproctitle
except ImportError:
    setproctitle = None  # type: ignore[assignment]


def set_title(title: str) -> None:
    """The name that ``ps`` shows, where setproctitle is installed."""
    if setproctitle is not None:
        setproctitle.setproctitle(title)

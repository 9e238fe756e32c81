"""Which version this is."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of


@cache
def version(distribution: str = "flask-bgjobs") -> str:
    """The version of an installed distribution; of a clone that is not installed, nobody knows."""
    try:
        return version_of(distribution)
    except PackageNotFoundError:
        return "unknown"

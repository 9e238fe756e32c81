"""Where our templates, static files and migrations lie.

In a clone they stand beside the package, in an installed wheel inside it (pyproject.toml moves them).
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def _folder(name: str) -> str:
    shipped = _PACKAGE / name
    return str(shipped if shipped.is_dir() else _PACKAGE.parent / name)


def templates_folder() -> str:
    """The absolute folder that holds ``bgjobs/…`` templates."""
    return _folder("templates")


def static_folder() -> str:
    """The absolute folder of the stylesheet, htmx and our script."""
    return str(Path(_folder("static")) / "bgjobs")


def migrations_folder() -> str:
    """The absolute folder of our Alembic environment."""
    return _folder("migrations")

"""Good manners in somebody else's application."""

from __future__ import annotations

from typing import Any

from flask import Flask, appcontext_pushed

from bgjobs.models import LOG_SEARCH, VERSION_TABLE, Base


def protect_tables(app: Flask) -> None:
    """Keep the host's ``flask db migrate`` from proposing to drop our tables.

    Flask-Migrate may be set up before or after us, or even after a first use of the application, so we look
    for its configuration until it is there; that is before any of its commands runs.
    """
    appcontext_pushed.connect(_wrap_once, app)


def is_ours(table_name: str | None) -> bool:
    """Whether a table belongs to bgjobs: a mapped one, the version table, or the search index's parts."""
    return table_name is not None and (
        table_name in Base.metadata.tables or table_name == VERSION_TABLE or table_name.startswith(LOG_SEARCH)
    )


# Not a function within protect_tables(): the signal is there for good, and so would be the application in it.
def _wrap_once(app: Flask, **extra: Any) -> None:
    migrate = app.extensions.get("migrate")
    if migrate is not None:
        appcontext_pushed.disconnect(_wrap_once, app)
        given = migrate.configure_args.get("include_object")
        migrate.configure_args["include_object"] = _without_ours(given)


def _without_ours(given: Any) -> Any:
    def include_object(item: Any, name: str | None, kind: str, reflected: bool, compare_to: Any) -> bool:
        table = name if kind == "table" else getattr(getattr(item, "table", None), "name", None)
        if is_ours(table):
            return False
        return given is None or bool(given(item, name, kind, reflected, compare_to))

    return include_object

"""Finds out where the application can be loaded from.

``flask --app`` sets no environment variable, so several places are asked in turn: the setting, the command line,
the environment, the function that is making the application, and, once it runs, the variables that hold it.
"""

from __future__ import annotations

import inspect
import os
import re
import sys
from dataclasses import replace
from types import FrameType, FunctionType, ModuleType

import click
from flask import Flask
from flask.cli import ScriptInfo

from bgjobs.app_location import AppLocation

# Frames and modules of these are never the user's factory, nor where the user keeps the application.
_NOT_THE_USERS = (
    "bgjobs",
    "flask",
    "flask_sqlalchemy",
    "click",
    "werkzeug",
    "gunicorn",
    "waitress",
    "granian",
)
# A function of such a name would make the application, and then do much more: serve it, or test it.
_DOES_MORE = re.compile("main|run|serve|start|cli|test", re.IGNORECASE)


def location_at_set_up(configured: str | None) -> AppLocation:
    """What is known inside ``init_app``: the setting, the command line, the environment, the factory."""
    declared = (configured,) if configured else (_from_command_line(), os.environ.get("FLASK_APP"))
    factory = _factory(inspect.currentframe())
    return AppLocation(
        declared=tuple(item for item in declared if item),
        variables=(),
        factories=() if factory is None else (factory,),
        directory=os.getcwd(),
        import_path=tuple(sys.path),
    )


def seen_running(location: AppLocation, app: Flask) -> AppLocation:
    """``location`` with what can be seen once the application runs: the variables that hold it."""
    return replace(location, variables=tuple(_variables_holding(app)), import_path=tuple(sys.path))


def _from_command_line() -> str | None:
    context = click.get_current_context(silent=True)
    info = None if context is None else context.find_object(ScriptInfo)
    return None if info is None else info.app_import_path


def _variables_holding(app: Flask) -> list[str]:
    found = []
    for name, module in list(sys.modules.items()):
        if isinstance(module, ModuleType) and _is_the_users(module, name):
            attributes = [key for key, value in list(vars(module).items()) if value is app]
            found += [f"{_importable(module)}:{attribute}" for attribute in attributes]
    return found


def _factory(frame: FrameType | None) -> str | None:
    """The nearest caller that is a function of a module, callable without arguments."""
    while frame is not None:
        module = sys.modules.get(str(frame.f_globals.get("__name__")))
        function = frame.f_globals.get(frame.f_code.co_name)
        if (
            module is not None
            and _is_the_users(module, module.__name__)
            and isinstance(function, FunctionType)
            and inspect.unwrap(function).__code__ is frame.f_code
            and not _DOES_MORE.match(function.__name__)
            and _takes_nothing(function)
        ):
            return f"{_importable(module)}:{frame.f_code.co_name}"
        frame = frame.f_back
    return None


def _is_the_users(module: ModuleType, name: str) -> bool:
    """Whether a module is the user's, and another process could load it: what was typed in could not."""
    typed = name == "__main__" and module.__spec__ is None and getattr(module, "__file__", None) is None
    return name.partition(".")[0] not in _NOT_THE_USERS and not typed


def _takes_nothing(function: FunctionType) -> bool:
    optional = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return all(
        parameter.default is not parameter.empty or parameter.kind in optional
        for parameter in inspect.signature(function).parameters.values()
    )


def _importable(module: ModuleType) -> str:
    """The name another process can import: for the script that was started, its file."""
    if module.__name__ != "__main__":
        return module.__name__
    if module.__spec__ is not None:  # python -m pkg.app
        return module.__spec__.name
    return os.path.abspath(str(module.__file__))

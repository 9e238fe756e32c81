"""Where the application can be loaded from, for a process that was not started by the user.

``flask --app`` sets no environment variable, so several places are asked in turn. Each answer is a
candidate in the form of ``flask --app``; the process that loads the application tries them in order.
"""

from __future__ import annotations

import inspect
import os
import re
import sys
from dataclasses import asdict, dataclass, replace
from types import FrameType, FunctionType, ModuleType
from typing import Any

import click
from flask import Flask
from flask.cli import ScriptInfo

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


@dataclass(frozen=True, slots=True)
class AppLocation:
    """Candidates for ``flask --app``, the surest first, and what they count from."""

    declared: tuple[str, ...]  # said by somebody: setting, command line, environment
    variables: tuple[str, ...]  # modules that hold the application
    factories: tuple[str, ...]  # functions that made it
    directory: str
    import_path: tuple[str, ...]

    @property
    def candidates(self) -> tuple[str, ...]:
        # The file of the script that was started comes last: loading it runs the script again.
        seen = sorted((*self.variables, *self.factories), key=os.path.isabs)
        return tuple(dict.fromkeys((*self.declared, *seen)))

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> AppLocation:
        lists: dict[str, Any] = {key: tuple(value) for key, value in data.items() if key != "directory"}
        return cls(**lists, directory=data["directory"])

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def seen_running(self, app: Flask) -> AppLocation:
        """This location with what can be seen once the application runs: the variables that hold it."""
        return replace(self, variables=tuple(_variables_holding(app)), import_path=tuple(sys.path))


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


def _from_command_line() -> str | None:
    context = click.get_current_context(silent=True)
    info = None if context is None else context.find_object(ScriptInfo)
    return None if info is None else info.app_import_path


def _variables_holding(app: Flask) -> list[str]:
    found = []
    for name, module in list(sys.modules.items()):
        if isinstance(module, ModuleType) and name.partition(".")[0] not in _NOT_THE_USERS and _has_file(module):
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
            and _has_file(module)
            and module.__name__.partition(".")[0] not in _NOT_THE_USERS
            and isinstance(function, FunctionType)
            and inspect.unwrap(function).__code__ is frame.f_code
            and not _DOES_MORE.match(function.__name__)
            and _takes_nothing(function)
        ):
            return f"{_importable(module)}:{frame.f_code.co_name}"
        frame = frame.f_back
    return None


def _takes_nothing(function: FunctionType) -> bool:
    optional = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return all(
        parameter.default is not parameter.empty or parameter.kind in optional
        for parameter in inspect.signature(function).parameters.values()
    )


def _has_file(module: ModuleType) -> bool:
    """Whether another process can load it. What was typed into an interpreter, or given with ``-c``, is gone
    with it."""
    return module.__name__ != "__main__" or bool(module.__spec__ or getattr(module, "__file__", None))


def _importable(module: ModuleType) -> str:
    """The name another process can import: for the script that was started, its file."""
    if module.__name__ != "__main__":
        return module.__name__
    if module.__spec__ is not None:  # python -m pkg.app
        return module.__spec__.name
    return os.path.abspath(module.__file__ or "__main__")

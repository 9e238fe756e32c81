"""Which classes may run, which of their methods, and whether the parameters fit.

A name from outside is a key of a dictionary, never something to import or to look up with ``getattr``:
what is not in the list does not exist. Names are compared exactly; nothing is repaired.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import FunctionType
from typing import Any, NamedTuple

from bgjobs.exceptions import ClassNotApproved, ConfigurationError, InvalidParameters, MethodNotApproved
from bgjobs.parameters import checked_parameters
from bgjobs.redaction import shorten

# fullmatch and ASCII: match() accepts a trailing line feed, \w accepts letters that only look alike.
_METHOD_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_CLASS_PATH = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)+")

# The seeds' jobs take one array of everything; a parameter of one of these names gets the dict whole.
_WHOLE_DICT_NAMES = ("params", "parameters")
_PLAIN_KINDS = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)

Approvable = type | str
Approved = Iterable[Approvable] | Mapping[Approvable, Iterable[str] | None]


class _Method:
    """A function of a class that may be called, with all that a call needs to know, found out once."""

    def __init__(self, function: FunctionType, bound: int) -> None:
        self.signature = inspect.signature(function)
        self.doc = inspect.getdoc(function) or ""
        self._bound = bound  # what the call itself puts first: the instance, the class, or nothing
        self.own = list(self.signature.parameters.values())[bound:]
        only = self.own[0] if len(self.own) == 1 and self.own[0].kind in _PLAIN_KINDS else None
        self.whole = only.name if only is not None and only.name in _WHOLE_DICT_NAMES else None

    def spread(self, parameters: dict[str, Any] | list[Any]) -> tuple[list[Any], dict[str, Any]]:
        """Positional and keyword arguments: a list is spread as the former, a dict as the latter, unless
        the method takes the dict whole (and the dict does not name that very parameter)."""
        if isinstance(parameters, list):
            return parameters, {}
        if self.whole is not None and self.whole not in parameters:
            return [parameters], {}
        return [], parameters

    def check_binding(self, parameters: dict[str, Any] | list[Any]) -> None:
        """Raises :class:`TypeError` when a call with these parameters could not even begin."""
        args, kwargs = self.spread(parameters)
        self.signature.bind(*[None] * self._bound, *args, **kwargs)


class JobCall(NamedTuple):
    """A checked call: the names and parameters to store, and the code they stand for."""

    class_name: str
    method_name: str
    parameters: dict[str, Any] | list[Any]
    job_class: type
    method: _Method

    def check_binding(self) -> None:
        """Raises :class:`InvalidParameters` when the call could not even begin."""
        try:
            self.method.check_binding(self.parameters)
        except TypeError as error:
            called = f"{self.class_name}::{self.method_name}{self.method.signature}"
            raise InvalidParameters(f"they do not fit {called}: {shorten(str(error), 200)}") from error

    def on(self, instance: Any) -> Any:
        """Make the call on ``instance`` and return what it returns."""
        args, kwargs = self.method.spread(self.parameters)
        return getattr(instance, self.method_name)(*args, **kwargs)


class Approval:
    """The list of approved classes, and the check of a call against it."""

    def __init__(self) -> None:
        self._classes: dict[str, type] = {}
        # By class and method name: the method, or the reason why it may not run.
        self._methods: dict[str, dict[str, _Method | str]] = {}
        self._internal: dict[str, type] = {}
        self._unresolved: dict[str, frozenset[str] | None] = {}
        self._later: list[Callable[[], Approved]] = []

    def add_later(self, approved: Callable[[], Approved]) -> None:
        """Approve what the function says at the first look at the list."""
        self._later.append(approved)

    def add(self, approved: Approved) -> None:
        """Approve classes, or dotted paths of classes, which are imported at the first look at the list.

        With a mapping, only the named methods of each class.
        """
        entries = approved.items() if isinstance(approved, Mapping) else ((item, None) for item in approved)
        for item, methods in entries:
            if isinstance(methods, str | bytes) or not isinstance(methods, Iterable | None):
                raise ConfigurationError(f"{item!r} is approved with {methods!r}; give a list of method names.")
            names = None if methods is None else frozenset(methods)
            if isinstance(item, str):
                if not _CLASS_PATH.fullmatch(item):
                    raise ConfigurationError(f"{item!r} is not the dotted path of a class.")
                self._unresolved[item] = names
            elif isinstance(item, type):
                self._register(public_name(item), item, names)
            else:
                raise _no_class(repr(item))

    def add_internal(self, job_class: type) -> None:
        """Let rows name a class of our own, that nobody can dispatch by its name: :meth:`call` refuses it."""
        name = public_name(job_class)
        self._internal[name] = job_class
        self._methods[name] = self._methods_by_name(job_class, _own_names(job_class))

    @property
    def classes(self) -> Mapping[str, type]:
        """Every approved class by its public name. Raises :class:`ConfigurationError` for a path that
        cannot be imported."""
        self._resolve()
        return self._classes

    def overview(self) -> dict[str, list[str] | str]:
        """Every class that is meant to be approved, by its name: its methods, or why it cannot be used."""
        faults: dict[str, list[str] | str] = {}
        try:
            self._add_what_comes_later()
        except ConfigurationError as error:
            faults["the list of the runner"] = str(error)
        for path, methods in list(self._unresolved.items()):
            try:
                self._resolve_path(path, methods)
            except ConfigurationError as error:
                faults[path] = str(error)
        return {name: self._callable(name) for name in self._classes} | faults

    def call(self, class_name: Approvable, method_name: str, parameters: Any) -> JobCall:
        """The checked call.

        ``class_name`` is a class or its dotted name, ``parameters`` a dict (keyword arguments), a list
        (positional arguments) or None. Raises :class:`ClassNotApproved`, :class:`MethodNotApproved` or
        :class:`InvalidParameters`.
        """
        name, job_class = self._approved_class(class_name)
        call = self._checked(name, job_class, method_name, {} if parameters is None else parameters)
        call.check_binding()
        return call

    def call_of_row(self, class_name: Any, method_name: Any, parameters: Any) -> JobCall:
        """The call that a row stands for. Everything is checked but whether the parameters fit, which the
        call itself will tell. Raises as :meth:`call` does."""
        internal = self._internal.get(class_name) if type(class_name) is str else None
        name, job_class = (class_name, internal) if internal else self._approved_class(class_name)
        return self._checked(name, job_class, method_name, parameters)

    def methods_of(self, class_name: str) -> list[str]:
        """The method names of an approved class that a job may call."""
        self._resolve()
        return self._callable(class_name)

    def _callable(self, class_name: str) -> list[str]:
        return sorted(name for name, found in self._methods[class_name].items() if isinstance(found, _Method))

    def _checked(self, name: str, job_class: type, method_name: Any, parameters: Any) -> JobCall:
        method = self._approved_method(name, method_name)
        return JobCall(name, method_name, checked_parameters(parameters), job_class, method)

    def _approved_class(self, class_name: Approvable) -> tuple[str, type]:
        if isinstance(class_name, type):
            name = public_name(class_name)
            if self.classes.get(name) is not class_name:
                raise ClassNotApproved(name)
            return name, class_name
        if type(class_name) is not str:
            raise ClassNotApproved(f"a value of type {type(class_name).__name__}")
        if class_name not in self.classes:
            raise ClassNotApproved(class_name)
        return class_name, self._classes[class_name]

    def _approved_method(self, class_name: str, method_name: Any) -> _Method:
        if type(method_name) is not str:
            raise MethodNotApproved(
                class_name, f"a value of type {type(method_name).__name__}", "a method name is a str"
            )
        found = self._methods[class_name].get(method_name)
        if found is None and _METHOD_NAME.fullmatch(method_name):
            raise MethodNotApproved(class_name, method_name, "it is not among the methods of this class")
        if found is None:
            raise MethodNotApproved(class_name, method_name, "that is not the name of a public method")
        if isinstance(found, str):
            raise MethodNotApproved(class_name, method_name, found)
        return found

    def _register(self, name: str, job_class: type, methods: frozenset[str] | None) -> None:
        own = _own_names(job_class)
        missing = (methods or frozenset()) - own
        if missing:
            raise ConfigurationError(
                f"{name} defines no public method {', '.join(sorted(missing))}. Approve methods it defines itself."
            )
        self._classes[name] = job_class
        self._methods[name] = self._methods_by_name(job_class, own if methods is None else methods)

    @staticmethod
    def _methods_by_name(job_class: type, names: Iterable[str]) -> dict[str, _Method | str]:
        return {name: _method_or_reason(job_class, name) for name in names}

    def _resolve(self) -> None:
        self._add_what_comes_later()
        for path, methods in list(self._unresolved.items()):
            self._resolve_path(path, methods)

    # Several threads may look first at the same time: each does the whole work, and nothing is taken off a list
    # before it is done.

    def _add_what_comes_later(self) -> None:
        for later in list(self._later):
            self.add(later())
            with contextlib.suppress(ValueError):
                self._later.remove(later)

    def _resolve_path(self, path: str, methods: frozenset[str] | None) -> None:
        job_class = _imported(path)
        if not isinstance(job_class, type):
            raise _no_class(path)
        self._register(path, job_class, methods)
        self._unresolved.pop(path, None)


def public_name(job_class: type) -> str:
    """The dotted name by which every process knows the class.

    A class of the script that was started lives in ``__main__`` there and under its file's name in the
    other processes, so the file's name is the one that counts.
    """
    module = job_class.__module__
    if module == "__main__":
        module = _name_of_main_module()
    return f"{module}.{job_class.__qualname__}"


def _own_names(job_class: type) -> set[str]:
    return {key for key in vars(job_class) if _METHOD_NAME.fullmatch(key)}


def _method_or_reason(job_class: type, method_name: str) -> _Method | str:
    """The method that ``job_class`` itself defines, or the reason why it may not run.

    Looks in the class's own dictionary: no property is evaluated, no base class consulted.
    """
    attribute = vars(job_class)[method_name]
    bound = 0 if isinstance(attribute, staticmethod) else 1
    if isinstance(attribute, staticmethod | classmethod):
        attribute = attribute.__func__
    if not isinstance(attribute, FunctionType) or attribute.__name__ == "<lambda>":
        return "it is not a plain method"
    underlying = inspect.unwrap(attribute)
    if inspect.isgeneratorfunction(underlying) or inspect.isasyncgenfunction(underlying):
        return "it is a generator: calling it would run nothing"
    if inspect.iscoroutinefunction(underlying):
        return "it is a coroutine; wrap it in a method that calls asyncio.run()"
    return _Method(attribute, bound)


def _no_class(shown: str) -> ConfigurationError:
    return ConfigurationError(f"{shown} is not a class, so it cannot be approved. Approve the class of the job.")


def _name_of_main_module() -> str:
    main = sys.modules["__main__"]
    if getattr(main, "__spec__", None) is not None:
        return str(main.__spec__.name)  # type: ignore[union-attr]
    file = getattr(main, "__file__", None)
    if file is None:
        return "__main__"
    path = Path(file).resolve()
    parts = [path.stem]
    while (path.parent / "__init__.py").exists():
        path = path.parent
        parts.insert(0, path.name)
    return ".".join(parts)


def _imported(path: str) -> Any:
    module_name, _, class_name = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(
            f"The approved class {path} cannot be imported: {error}. Correct the path."
        ) from error
    return found

"""Which classes may run, which of their methods, and whether the parameters fit.

A name from outside is a key of a dictionary, never something to import or to look up with ``getattr``:
what is not in the list does not exist. Names are compared exactly; nothing is repaired.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from bgjobs.class_name import imported, public_name
from bgjobs.exceptions import ClassNotApproved, ConfigurationError, InvalidParameters, MethodNotApproved
from bgjobs.job_method import METHOD_NAME, JobMethod, method_or_reason, own_names
from bgjobs.parameters import checked_parameters
from bgjobs.redaction import shorten

# As for a method's name, ASCII and fullmatch.
_CLASS_PATH = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)+")

Approvable = type | str
Approved = Iterable[Approvable] | Mapping[Approvable, Iterable[str] | None]


class JobCall(NamedTuple):
    """A checked call: the names and parameters to store, and the code they stand for."""

    class_name: str
    method_name: str
    parameters: dict[str, Any] | list[Any]
    job_class: type
    method: JobMethod

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
        self._methods: dict[str, dict[str, JobMethod | str]] = {}
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
        self._methods[name] = self._methods_by_name(job_class, own_names(job_class))

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
        return sorted(name for name, found in self._methods[class_name].items() if isinstance(found, JobMethod))

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

    def _approved_method(self, class_name: str, method_name: Any) -> JobMethod:
        if type(method_name) is not str:
            raise MethodNotApproved(
                class_name, f"a value of type {type(method_name).__name__}", "a method name is a str"
            )
        found = self._methods[class_name].get(method_name)
        if found is None and METHOD_NAME.fullmatch(method_name):
            raise MethodNotApproved(class_name, method_name, "it is not among the methods of this class")
        if found is None:
            raise MethodNotApproved(class_name, method_name, "that is not the name of a public method")
        if isinstance(found, str):
            raise MethodNotApproved(class_name, method_name, found)
        return found

    def _register(self, name: str, job_class: type, methods: frozenset[str] | None) -> None:
        own = own_names(job_class)
        missing = (methods or frozenset()) - own
        if missing:
            raise ConfigurationError(
                f"{name} defines no public method {', '.join(sorted(missing))}. Approve methods it defines itself."
            )
        self._classes[name] = job_class
        self._methods[name] = self._methods_by_name(job_class, own if methods is None else methods)

    @staticmethod
    def _methods_by_name(job_class: type, names: Iterable[str]) -> dict[str, JobMethod | str]:
        return {name: method_or_reason(job_class, name) for name in names}

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
        job_class = imported(path)
        if not isinstance(job_class, type):
            raise _no_class(path)
        self._register(path, job_class, methods)
        self._unresolved.pop(path, None)


def _no_class(shown: str) -> ConfigurationError:
    return ConfigurationError(f"{shown} is not a class, so it cannot be approved. Approve the class of the job.")

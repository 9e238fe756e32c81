"""A method that a job may call: which ones those are, and how parameters are given to them."""

from __future__ import annotations

import inspect
import re
from types import FunctionType
from typing import Any

# fullmatch and ASCII: match() accepts a trailing line feed, \w accepts letters that only look alike.
METHOD_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")

# The seeds' jobs take one array of everything; a parameter of one of these names gets the dict whole.
_WHOLE_DICT_NAMES = ("params", "parameters")
_PLAIN_KINDS = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def own_names(job_class: type) -> set[str]:
    return {key for key in vars(job_class) if METHOD_NAME.fullmatch(key)}


def method_or_reason(job_class: type, method_name: str) -> JobMethod | str:
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
    return JobMethod(attribute, bound)


class JobMethod:
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

"""The dotted names of classes: the one by which every process knows a class, and the class that a name means."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from bgjobs.exceptions import ConfigurationError


def public_name(job_class: type) -> str:
    """The dotted name by which every process knows the class.

    A class of the script that was started lives in ``__main__`` there and under its file's name in the
    other processes, so the file's name is the one that counts.
    """
    module = job_class.__module__
    if module == "__main__":
        module = _name_of_main_module()
    return f"{module}.{job_class.__qualname__}"


def imported(path: str) -> Any:
    module_name, _, class_name = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(
            f"The approved class {path} cannot be imported: {error}. Correct the path."
        ) from error
    return found


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

"""The frames of a traceback that are the application's own: what its author looks for first.

A traceback is a text here, which a job wrote and anybody may have edited, so nothing is asked of it.
"""

from __future__ import annotations

import re
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_FRAME = re.compile(r'(?P<indent>[ |+]{0,200})File "(?P<file>[^"]{1,4096})", line \d{1,9}')
_LIBRARIES = re.compile(r"[\\/](?:site-packages|dist-packages|lib[\\/]python3\.\d+)[\\/]|^<frozen ")
_FOLDERS = tuple(
    f"{folder}/"
    for folder in {
        sysconfig.get_path("stdlib"),
        sysconfig.get_path("platstdlib"),
        str(Path(__file__).parents[2]),  # bgjobs
    }
)


@dataclass(frozen=True, slots=True)
class Frames:
    """A traceback: all of it, and the frames of the application alone, None where that makes no difference."""

    text: str
    number: int
    of_app: str | None


def frames_of(text: str, libraries: Sequence[str] = _FOLDERS) -> Frames:
    """Take apart the text of a traceback, of several that caused each other, or of a group."""
    lines = text.split("\n")
    kept: list[str] = []
    number = own = left_out = index = 0
    while index < len(lines):
        frame = _FRAME.match(lines[index])
        if frame is None:
            left_out = _tell(kept, left_out)
            kept.append(lines[index])
            index += 1
            continue
        end = _end_of_frame(lines, index + 1, len(frame["indent"]))
        number += 1
        if is_of_a_library(frame["file"], libraries):
            left_out += 1
        else:
            own += 1
            left_out = _tell(kept, left_out)
            kept += lines[index:end]
        index = end
    _tell(kept, left_out)
    return Frames(text, number, "\n".join(kept) if 0 < own < number else None)


def is_of_a_library(file: str, libraries: Sequence[str] = _FOLDERS) -> bool:
    """Whether code in this file is Python's, somebody else's or ours, and not the application's."""
    return file.startswith(tuple(libraries)) or _LIBRARIES.search(file) is not None


def _end_of_frame(lines: Sequence[str], index: int, indent: int) -> int:
    """The line after those that belong to a frame: its source, the marks below, and what was repeated."""
    while index < len(lines) and _FRAME.match(lines[index]) is None:
        text = lines[index]
        belongs = len(text) > indent + 1 and not text[: indent + 2].strip(" |+")
        if not (belongs or text.lstrip(" |").startswith("[Previous line repeated ")):
            break
        index += 1
    return index


def _tell(kept: list[str], left_out: int) -> int:
    """Say how many frames stood here."""
    if left_out:
        kept.append(f"  … {left_out} {'frame' if left_out == 1 else 'frames'} of libraries")
    return 0

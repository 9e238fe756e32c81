"""What may be shown: secrets masked, control characters escaped, texts capped.

Every output (log files, ``job_logs``, dashboard, command line) goes through here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

MASK = "••••••"
DEFAULT_KEY_PATTERN = r"pass(word|wd)?|secret|token|api[-_]?key|authorization|cookie|credential|private"
RECORD_LIMIT = 8 * 1024
"""Characters of one log record (OWASP ASVS 16.4.1: a log must not be floodable by one entry)."""

# Everything that can break a line, move a cursor or reorder text: C0, DEL, C1, line and paragraph
# separators, bidirectional controls, the byte order mark, and lone surrogates (not encodable as UTF-8).
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
_URL_USER_INFO = re.compile(r"(?<=://)[^\s/@:]*:[^\s/@]+(?=@)")
# A shorter secret would mask unrelated words ("a", "42") all over a traceback.
_SHORTEST_SECRET = 4


class Redactor:
    """Masks what belongs to keys that match ``key_pattern`` (a regular expression, case ignored)."""

    def __init__(self, key_pattern: str = DEFAULT_KEY_PATTERN) -> None:
        self.key_pattern = key_pattern
        self._is_secret = re.compile(key_pattern, re.IGNORECASE).search

    def parameters(self, value: Any) -> Any:
        """A copy of a JSON value in which the value of each secret key, at any depth, is masked."""
        if isinstance(value, dict):
            return {
                key: MASK if self._is_secret(str(key)) else self.parameters(item) for key, item in value.items()
            }
        if isinstance(value, list):
            return [self.parameters(item) for item in value]
        return mask_urls(value) if isinstance(value, str) else value

    def secrets(self, value: Any) -> set[str]:
        """The texts that stand under secret keys of ``value``: to be masked wherever they turn up."""
        if isinstance(value, list):
            return set().union(*map(self.secrets, value))
        if not isinstance(value, dict):
            return set()
        found: set[str] = set()
        for key, item in value.items():
            found |= set(_leaf_texts(item)) if self._is_secret(str(key)) else self.secrets(item)
        return {text for text in found if len(text) >= _SHORTEST_SECRET}

    def text(self, text: str, secrets: Iterable[str] = ()) -> str:
        """``text`` without the given secrets and without passwords in URLs."""
        for secret in sorted(secrets, key=len, reverse=True):
            text = text.replace(secret, MASK)
        return mask_urls(text)


def mask_urls(text: str) -> str:
    """``postgresql://user:password@host`` without user and password."""
    return _URL_USER_INFO.sub(MASK, text) if "://" in text else text


def escape(text: str) -> str:
    """``text`` on one line: control characters, separators and bidi marks as ``\\xNN`` or ``\\uNNNN``."""
    return _UNSAFE.sub(_escaped, text)


def escape_lines(text: str) -> str:
    """As ``escape``, but line feeds and tabs stay: for texts that are shown as a block."""
    return "\n".join("\t".join(map(escape, line.split("\t"))) for line in text.split("\n"))


def json_line(value: Any) -> str:
    """``value`` as JSON on one line that is still JSON: the same characters escaped as ``\\uNNNN``."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def shorten(text: str, limit: int = RECORD_LIMIT) -> str:
    """The beginning of ``text``, at most ``limit`` characters, saying how much was left out."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]}… ({len(text) - limit:,} more characters)"


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _leaf_texts(value: Any) -> Iterable[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _leaf_texts(item)
    elif value is not None and not isinstance(value, bool):
        yield str(value)

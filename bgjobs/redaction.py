"""What may be shown: secrets masked, control characters escaped, texts capped.

Every output (log files, ``job_logs``, dashboard, command line) goes through here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

MASK = "••••••"
DEFAULT_KEY_PATTERN = r"pass(word|wd)?|secret|token|api[-_]?key|authorization|cookie|credential|private"
RECORD_LIMIT = 8 * 1024
"""Characters of one log record (OWASP ASVS 16.4.1: a log must not be floodable by one entry)."""

# Everything that can break a line, move a cursor or reorder text: C0, DEL, C1, line and paragraph
# separators, bidirectional controls, the byte order mark, and lone surrogates (not encodable as UTF-8).
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
# A user (which may be a token), or a user and a password, in which people leave "/" and "@" as they are. What
# follows a port is none. The length is bounded, because the search for the "@" begins anew at each "://".
_URL_USER_INFO = re.compile(
    r"""(?<=://)(?:[^\s/@:?#"'<>]+|[^\s/@:?#"'<>]*:(?!\d{1,5}(?:[/?#"'<>,)\]}]|$))[^\s"'<>]{1,500})(?=@)"""
)
# Deeper than any parameters that we took; only a row edited by hand is.
_DEEPEST = 100
# A shorter secret would mask unrelated words ("a", "42") all over a traceback.
_SHORTEST_SECRET = 4
# What stays as it is however a text is quoted (repr, JSON, and a repr of that).
_NEVER_QUOTED = re.compile(r"[ !#-&(-\[\]-~]+")


_compact_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=str).encode


class Redactor:
    """Masks what belongs to keys that match ``key_pattern`` (a regular expression, case ignored)."""

    def __init__(self, key_pattern: str = DEFAULT_KEY_PATTERN) -> None:
        self.key_pattern = key_pattern
        self._is_secret = re.compile(key_pattern, re.IGNORECASE).search

    def parameters(self, value: Any, _depth: int = 0) -> Any:
        """A copy of a JSON value in which the value of each secret key, at any depth, is masked."""
        if _depth > _DEEPEST:
            return MASK
        if isinstance(value, dict):
            return {
                key: MASK if self._is_secret(str(key)) else self.parameters(item, _depth + 1)
                for key, item in value.items()
            }
        if isinstance(value, list):
            return [self.parameters(item, _depth + 1) for item in value]
        return mask_urls(value) if isinstance(value, str) else value

    def secrets(self, value: Any) -> set[str]:
        """The texts that stand under secret keys of ``value``, in each way they are spelled in a message: to
        be masked wherever they turn up."""
        found: set[str] = set()
        waiting = [value]
        while waiting:
            item = waiting.pop()
            if isinstance(item, list):
                waiting += item
            elif isinstance(item, dict):
                for key, inner in item.items():
                    if self._is_secret(str(key)):
                        found.update(spelling for text in _leaf_texts(inner) for spelling in _spellings(text))
                    else:
                        waiting.append(inner)
        return {text for text in found if len(text) >= _SHORTEST_SECRET}

    def text(self, text: str, secrets: Iterable[str] = ()) -> str:
        """``text`` without the given secrets and without passwords in URLs."""
        for secret in sorted(secrets, key=len, reverse=True):
            text = text.replace(secret, MASK)
        return mask_urls(text)


def mask_urls(text: str) -> str:
    """``postgresql://user:password@host`` without user and password, ``https://token@host`` without token."""
    return _URL_USER_INFO.sub(MASK, text) if "://" in text else text


def escape(text: str) -> str:
    """``text`` on one line: control characters, separators and bidi marks as ``\\xNN`` or ``\\uNNNN``."""
    return _UNSAFE.sub(_escaped, text)


def escape_lines(text: str) -> str:
    """As ``escape``, but line feeds and tabs stay: for texts that are shown as a block."""
    return "\n".join("\t".join(map(escape, line.split("\t"))) for line in text.split("\n"))


def json_line(value: Any) -> str:
    """``value`` as JSON on one line that is still JSON: the same characters escaped as ``\\uNNNN``."""
    text = _compact_json(value)
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
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict | list):
            waiting += item.values() if isinstance(item, dict) else item
        elif item is not None and not isinstance(item, bool):
            yield str(item)


def _spellings(secret: str) -> Iterable[str]:
    yield secret
    yield json.dumps(secret)[1:-1]
    yield quote(secret, safe="", errors="replace")
    yield from _NEVER_QUOTED.findall(secret)

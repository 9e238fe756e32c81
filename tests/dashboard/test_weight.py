"""What a browser has to load stays small."""

from __future__ import annotations

import gzip
from pathlib import Path

STATIC = Path(__file__).parents[2] / "static" / "bgjobs"
ON_EVERY_PAGE = ("theme.js", "bgjobs.js")
HTMX = ("htmx-4.0.1.min.js", "hx-ptag-4.0.1.min.js")


def sent(*names: str) -> int:
    """Bytes, as a server that compresses sends them."""
    return sum(len(gzip.compress((STATIC / name).read_bytes(), 9, mtime=0)) for name in names)


def test_our_scripts_are_small() -> None:
    ours = [path.name for path in STATIC.glob("*.js") if path.name not in HTMX]
    assert set(ON_EVERY_PAGE) < set(ours)
    assert sent(*ours) < 8_000


def test_the_stylesheet_is_small() -> None:
    assert sent("bgjobs.css") < 14_000


def test_the_first_load_is_small() -> None:
    """The page itself comes on top of that, with some 10 kB."""
    assert sent("bgjobs.css", "icon.svg", *HTMX, *ON_EVERY_PAGE) < 35_000

"""Whatever a reader may copy from the README or the manual does what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from snippets import HOUSE, PAGES, blocks, is_run, run_page


@pytest.mark.parametrize("page", [page for page in PAGES if is_run(page)], ids=lambda page: page.name)
def test_every_snippet_runs(page: Path, tmp_path: Path) -> None:
    run_page(page, tmp_path)


def test_the_readme_shows_what_it_must() -> None:
    readme = HOUSE / "README.md"
    text = readme.read_text()
    assert "![" in text.split("## ")[0]
    assert {"python app.py", "python", "console"} <= {block.info for block in blocks(readme)}
    assert "make run" in text
    assert "make test" in text
    assert len(text.split()) < 1100  # two screens


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        address, _, anchor = target.partition("#")
        if address.startswith(("http://", "https://")):
            continue
        other = (page.parent / address).resolve() if address else page
        assert other.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", other.read_text(), re.MULTILINE)
            assert anchor in {_anchor(heading) for heading in headings}, target


def _anchor(heading: str) -> str:
    """As GitHub makes it of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")

"""Sites with real processes, and the clean end that each of them must come to."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import warm_start
from clean_end import real_site
from real_site import MakeSite, RealSite

from bgjobs.processes import launch

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc")


@pytest.fixture
def make_site(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[MakeSite]:
    """A function that makes a site for this test alone. Keyword arguments are settings without their prefix."""
    sites: list[RealSite] = []
    with ExitStack() as stack:

        def make(**settings: Any) -> RealSite:
            site = stack.enter_context(real_site(tmp_path_factory.mktemp("site"), empty_database, settings))
            sites.append(site)
            return site

        yield make
        for site in sites:
            site.check()


@pytest.fixture(scope="module")
def site_of_the_module(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[RealSite]:
    with real_site(tmp_path_factory.mktemp("site"), empty_database, {}) as site:
        yield site


@pytest.fixture
def site(site_of_the_module: RealSite) -> Iterator[RealSite]:
    """A site that the tests of a module share: starting one takes longer than most of what is tested."""
    yield site_of_the_module
    site_of_the_module.check()


@pytest.fixture
def make_warm_site(make_site: MakeSite, monkeypatch: pytest.MonkeyPatch) -> MakeSite:
    """As ``make_site``, where it does not matter that interpreters are started: that is left out, and its time."""
    monkeypatch.setattr(launch, "start", warm_start.start)
    return make_site

"""One wheel and one environment for all tests of the package: building them takes seconds."""

from __future__ import annotations

from pathlib import Path

import pytest
from installed import build_wheel, environment_with


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter that knows bgjobs by the wheel alone."""
    return environment_with(wheel, tmp_path_factory.mktemp("environment"))

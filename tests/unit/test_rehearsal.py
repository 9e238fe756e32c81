"""The rehearsal makes jobs quicker, and nothing depends on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bgjobs.app_location import AppLocation, Expected
from bgjobs.processes import rehearsal
from bgjobs.processes.job_process import JobProcessConfig
from bgjobs.state_folder import StateFolder


def test_without_a_folder_to_write_to_it_is_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tried: list[bool] = []

    def nowhere() -> None:
        tried.append(True)
        raise FileNotFoundError("no usable temporary directory found")

    monkeypatch.setattr(rehearsal, "TemporaryDirectory", nowhere)
    location = AppLocation((), (), (), str(tmp_path), ())
    rehearsal.rehearse(JobProcessConfig(location, Expected("shop", ""), StateFolder(str(tmp_path)), 1))
    assert tried

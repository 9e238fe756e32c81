"""The wheel, built from a copy of the clone, and a fresh environment in which nothing of the clone is found."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

HOUSE = Path(__file__).resolve().parents[2]

NOT_COPIED = shutil.ignore_patterns(
    ".git",
    ".venv",
    "node_modules",
    "storage",
    "instance",
    "screenshots",
    "build",
    "dist",
    "*_cache",
    "__pycache__",
)

# What may lie in a clone and is nobody else's business: git ignores it, or it is no part of the package.
LITTER = (
    "bgjobs/__pycache__/cli.cpython-311.pyc",
    "bgjobs/left.db",
    "bgjobs/instance/app.db",
    "templates/bgjobs/left.db",
    "templates/other/page.html",
    "static/bgjobs/node_modules/left.js",
    "static/other/page.css",
    "migrations/__pycache__/env.cpython-311.pyc",
    "storage/logs/background_jobs.log",
)


def build_wheel(folder: Path) -> Path:
    """Build the wheel offline, from a copy that somebody has worked in."""
    clone = folder / "clone"
    shutil.copytree(HOUSE, clone, ignore=NOT_COPIED)
    for name in LITTER:
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        (clone / name).write_text("left here")
    command = ["wheel", "--no-build-isolation", "--no-deps", "--no-index", "--quiet", "--wheel-dir", str(folder)]
    _pip([*command, str(clone)])
    (wheel,) = folder.glob("*.whl")
    return wheel


def environment_with(wheel: Path, folder: Path) -> Path:
    """The interpreter of a new environment with the wheel in it. What the wheel needs is borrowed from ours, and
    that does not bring the clone along: its own path stands in a file that only our interpreter reads."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    _pip(["--python", str(python), "install", "--no-deps", "--no-index", "--quiet", str(wheel)])
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def clean_environment() -> dict[str, str]:
    """Ours without anything that leads back to the clone, or to another application."""
    return {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "FLASK_", "BGJOBS_"))}


def _pip(arguments: Sequence[str]) -> None:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    subprocess.run(pip, check=True, env=clean_environment())

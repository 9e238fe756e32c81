"""The files for a deployment are what the manual quotes, what their tools accept, and what the tests use."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from check_jsonschema.builtin_schemas import get_builtin_schema
from databases import SERVERS
from jsonschema.validators import validator_for
from ruamel.yaml import YAML
from snippets import HOUSE, PAGES, Block, blocks
from sqlalchemy.engine import make_url

SHOP = HOUSE / "examples" / "shop"
QUOTES = [
    pytest.param(block, id=f"{page.name}:{block.line}")
    for page in PAGES
    for block in blocks(page)
    if "examples/" in block.info
]


@pytest.mark.parametrize("quote", QUOTES)
def test_a_quote_stands_in_the_file(quote: Block) -> None:
    """Line for line, but for what goes before a command in it and what the page leaves out between lines."""
    lines = iter((HOUSE / quote.info.split()[1]).read_text().splitlines())
    for quoted in quote.text.splitlines():
        assert any(quoted in line for line in lines), quoted


def test_what_the_compose_file_says_is_known_to_compose() -> None:
    schema = get_builtin_schema("vendor.compose-spec")
    errors = validator_for(schema)(schema).iter_errors(_yaml(HOUSE / "compose.yaml")[0])
    assert [error.message for error in errors] == []


def test_the_compose_file_starts_the_servers_of_the_tests_where_they_are_looked_for() -> None:
    services = _yaml(HOUSE / "compose.yaml")[0]["services"]
    for name, address in SERVERS.items():
        url = make_url(address)
        assert services[name]["ports"] == [f"{url.host}:{url.port}:{url.port}"]
    assert all(port.startswith("127.0.0.1:") for service in services.values() for port in service["ports"])


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not there")
def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    """It looks for each program, folder and user, so these are some that there are."""
    units = []
    for unit in SHOP.glob("*.service"):
        text = re.sub(r"/srv/shop/\.venv/bin/\w+", sys.executable, unit.read_text()).replace(
            "User=shop", "User=root"
        )
        units.append(tmp_path / unit.name)
        units[-1].write_text(text)
    told = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, timeout=60, check=False
    )
    ours = [line for line in told.stderr.splitlines() if "shop-" in line]
    assert (len(units), told.returncode, ours) == (2, 0, [])


def test_both_units_are_told_the_same_and_may_write_where_the_shop_does() -> None:
    web, jobs = ((SHOP / f"shop-{name}.service").read_text().splitlines() for name in ("web", "jobs"))
    for line in (
        "User=shop",
        "EnvironmentFile=/etc/shop.env",
        "PrivateTmp=true",
        "ReadWritePaths=/srv/shop/instance",
    ):
        assert line in web
        assert line in jobs


def test_the_image_has_an_init_and_no_root() -> None:
    """The user is a number, because a cluster that wants no root refuses a name; what is copied is there."""
    text = (SHOP / "Dockerfile").read_text()
    assert re.findall(r"^USER (.+)$", text, re.MULTILINE) == re.findall(r"--uid (\d+)", text)
    assert json.loads(re.findall(r"^ENTRYPOINT (.+)$", text, re.MULTILINE)[0]) == ["tini", "--"]
    for source in re.findall(r"^COPY (?!--from)(\S+) ", text, re.MULTILINE):
        assert (HOUSE / source).exists()


def test_the_cluster_runs_the_commands_of_the_image_and_gives_jobs_their_grace() -> None:
    web, jobs, secret = _yaml(SHOP / "kubernetes.yaml")
    assert jobs["spec"]["template"]["spec"]["containers"][0]["args"] == ["flask", "bgjobs", "supervise"]
    assert web["spec"]["template"]["spec"]["initContainers"][0]["args"] == ["flask", "bgjobs", "upgrade"]
    assert jobs["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > 10  # BGJOBS_KILL_GRACE
    assert set(secret["stringData"]) == {"FLASK_SQLALCHEMY_DATABASE_URI", "FLASK_SECRET_KEY"}


def _yaml(path: Path) -> list[Any]:
    return list(YAML(typ="safe", pure=True).load_all(path))

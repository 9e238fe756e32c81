"""The demo application answers the browser on this computer, and dispatches what stands in its code."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from flask.testing import FlaskClient

HOUSE = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def demo() -> ModuleType:
    spec = importlib.util.spec_from_file_location("demo_app", HOUSE / "app.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def client(demo: ModuleType) -> FlaskClient:
    return demo.create_app().test_client()


def test_home_has_a_button_for_each_case(client: FlaskClient) -> None:
    page = client.get("/").text
    for case in ("run", "slow", "flaky", "fail", "long", "crash"):
        assert f'action="/dispatch/{case}"' in page


@pytest.mark.parametrize(
    ("path", "method", "headers", "peer", "status"),
    [
        ("/", "GET", {}, "203.0.113.7", 403),
        ("/", "GET", {"Host": "evil.example"}, "127.0.0.1", 403),
        ("/", "GET", {"X-Forwarded-For": "127.0.0.1"}, "127.0.0.1", 403),
        ("/dashboard", "GET", {}, "203.0.113.7", 403),
        ("/dispatch/run", "POST", {"Origin": "http://evil.example"}, "127.0.0.1", 403),
        ("/dispatch/run", "POST", {"Sec-Fetch-Site": "cross-site"}, "127.0.0.1", 403),
        ("/dispatch/run", "GET", {}, "127.0.0.1", 405),
        ("/dispatch/os.system", "POST", {}, "127.0.0.1", 404),
        ("/dispatch/__init__", "POST", {}, "127.0.0.1", 404),
    ],
)
def test_strangers_and_unknown_cases(
    client: FlaskClient, path: str, method: str, headers: dict[str, str], peer: str, status: int
) -> None:
    response = client.open(path, method=method, headers=headers, environ_base={"REMOTE_ADDR": peer})
    assert response.status_code == status


def test_takes_the_next_port_when_one_is_taken(demo: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    with demo.listen(5900) as first:
        taken = first.getsockname()[1]
        with demo.listen(taken) as second:
            assert second.getsockname() == ("127.0.0.1", second.getsockname()[1])
            assert second.getsockname()[1] > taken
    assert f"Port {taken} is taken by another program, so this is port" in capsys.readouterr().out

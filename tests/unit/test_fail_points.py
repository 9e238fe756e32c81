"""The variable that arms fail points: what it may say, and that each point stands where the table says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bgjobs import fail_points
from bgjobs.exceptions import ConfigurationError
from bgjobs.fail_points import ARMED, POINTS, VARIABLE, Charge, FailPointReached, charges_of, reach

PACKAGE = Path(fail_points.__file__).parent


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("run.mid=kill9", {"run.mid": [Charge("kill9")]}),
        ("run.mid=sleep:0.5", {"run.mid": [Charge("sleep", 0.5)]}),
        ("run.mid=raise@/tmp/a b", {"run.mid": [Charge("raise", ticket="/tmp/a b")]}),
        (
            "run.mid=kill9@/a,fork.after=raise,run.mid=raise@/b",
            {
                "run.mid": [Charge("kill9", ticket="/a"), Charge("raise", ticket="/b")],
                "fork.after": [Charge("raise")],
            },
        ),
    ],
)
def test_what_it_may_say(text: str, expected: dict[str, list[Charge]]) -> None:
    assert charges_of(text) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("run.middle=kill9", "'run.middle' is no fail point"),
        ("kill9", "'kill9' is no fail point"),
        ("run.mid", "cannot happen at run.mid"),
        ("run.mid=kill", "'kill' cannot happen"),
        ("run.mid=sleep", "Write kill9, raise or sleep:SECONDS"),
        ("run.mid=raise:1", "cannot happen"),
        ("run.mid=sleep:long", "'long' is no number of seconds"),
    ],
)
def test_what_is_refused(text: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(words)) as refusal:
        charges_of(text)
    assert refusal.value.setting == VARIABLE


def test_a_process_that_was_told_nonsense_says_so_at_once() -> None:
    environment = {**os.environ, VARIABLE: "nowhere=kill9"}
    ended = subprocess.run(
        [sys.executable, "-c", "from bgjobs import BackgroundJobs"],
        env=environment,
        cwd=PACKAGE.parent,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 1
    assert "ConfigurationError: BGJOBS_FAIL_POINT: 'nowhere' is no fail point" in ended.stderr


def test_it_happens_once_for_each_ticket(tmp_path: Path) -> None:
    charge = Charge("raise", ticket=str(tmp_path / "ticket"))
    charge.go_off("run.mid")
    (tmp_path / "ticket").touch()
    with pytest.raises(FailPointReached, match=r"run\.mid"):
        charge.go_off("run.mid")
    charge.go_off("run.mid")


def test_it_counts_in_the_process_that_the_table_names_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """This is none of ours, so it may be a caller and nothing else."""
    monkeypatch.setattr(fail_points, "_charges", {name: [Charge("raise")] for name in POINTS})
    for name, point in POINTS.items():
        if point.process is None:
            with pytest.raises(FailPointReached):
                reach(name)
        else:
            reach(name)


def test_nothing_is_armed_where_nobody_asked_for_it() -> None:
    assert not ARMED


def test_each_point_of_the_table_stands_in_the_code_and_costs_nothing_there() -> None:
    code = "\n".join(path.read_text() for path in PACKAGE.rglob("*.py"))
    guarded = re.findall(r'if ARMED(?: and \w+)?:\n\s+reach\("([\w.]+)"\)', code)
    # A caller commits in a transaction of ours or in one of its own.
    twice = [name for name in POINTS if name.startswith("enqueue.")]
    assert sorted(guarded) == sorted([*(POINTS.keys() - {"run.mid"}), *twice])
    assert code.count(" reach(") == len(guarded) + 1  # and its definition

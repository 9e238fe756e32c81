"""The tables, from the figures: pure, so they can be made again from ``bench/results.json``.

``python -m bench.report RESULTS.json`` prints them.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"
Results = dict[str, Any]


class Rounds:
    """The figures of all rounds, asked by system and path: medians, and ratios within a round."""

    def __init__(self, results: Results) -> None:
        self._rounds = results["rounds"]
        self.systems = list(self._rounds[0]["systems"])

    def limit(self, name: str) -> float | None:
        return _median(found["limits"].get(name) for found in self._rounds)

    def of(self, system: str, *path: str) -> Any:
        return _median(at(found["systems"].get(system), path) for found in self._rounds)

    def worst(self, system: str, *path: str) -> Any:
        values = [at(found["systems"].get(system), path) for found in self._rounds]
        return max((value for value in values if value is not None), default=None)

    def ratio(self, system: str, path: Sequence[str], to: Callable[[Any], Any]) -> float | None:
        """The median of this figure divided by another of the same round."""
        return _median(_divided(at(found["systems"].get(system), path), to(found)) for found in self._rounds)

    def to_forks(self, system: str, *path: str) -> float | None:
        return self.ratio(system, path, lambda found: at(found["systems"].get(system), ("forks",)))

    def to_system(self, system: str, other: str, *path: str) -> float | None:
        return self.ratio(system, path, lambda found: at(found["systems"].get(other), path))

    def text(self, system: str, what: str) -> str | None:
        return next((text for found in self._rounds if (text := found["systems"].get(system, {}).get(what))), None)


def markdown(results: Results) -> str:
    """All tables."""
    rounds, machine = Rounds(results), results["machine"]
    parts = [
        f"Medians of {_rounds_text(results)} on {machine['cpus']} cores ({machine['system']}, Python "
        f"{machine['python']}, SQLite {machine['sqlite']}). **Look at the ratios**: they compare what was "
        "measured in the same round, while absolute times follow whatever else the machine does.",
        _targets(rounds, results["growth"]),
        _throughput(rounds),
        _latency(rounds),
        _memory(rounds),
        _limits(rounds),
        _growth(results["growth"]),
        _notes(rounds),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def insert_into(page: Path, tables: str) -> None:
    """Put the tables between the markers of a page."""
    before, rest = page.read_text("utf-8").split(BEGIN)
    page.write_text(f"{before}{BEGIN}\n\n{tables}\n{END}{rest.split(END)[1]}", "utf-8")


# -- the tables --------------------------------------------------------------------------------------------


def _targets(rounds: Rounds, growth: dict[str, Any]) -> str:
    ours, reused = "bgjobs", "bgjobs-reused"
    finished = growth.get("finished", {})
    past = [value["ratio"] for value in finished.values() if isinstance(value, dict)]
    claims = _divided(at(growth, ("pending", "many", "p50")), at(growth, ("pending", "few", "p50")))
    on_server = growth.get("pending_on_postgresql", {})
    series = at(growth, ("memory", "series")) or []
    grown = series[-1]["mib"] - series[0]["mib"] if len(series) > 1 else None
    rows = [
        _target("a process a job: × the bare fork limit", rounds.to_forks(ours, "best"), 0.75),
        _target("a process a job: × RQ with 2 workers", rounds.to_system(ours, "rq-2", "best"), 4),
        _target("reused processes: × Huey", rounds.to_system(reused, "huey", "best"), 1),
        _target("reused processes: × Celery prefork", rounds.to_system(reused, "celery", "best"), 3),
        _target(
            "PostgreSQL, a process a job: × the bare fork limit", rounds.to_forks("bgjobs-postgresql", "best"), 0.6
        ),
        _target(
            "PostgreSQL, reused processes: × Procrastinate",
            rounds.to_system("bgjobs-postgresql-reused", "procrastinate", "best"),
            2,
        ),
        _target("start on an idle system, p50", rounds.of(ours, "start", "p50"), -4, "ms"),
        _target("start on an idle system, p95", rounds.of(ours, "start", "p95"), -8, "ms"),
        _target("dispatch, p50", rounds.of(ours, "alone", "p50"), -0.35, "ms"),
        _target("dispatch, p99", rounds.of(ours, "alone", "p99"), -2, "ms"),
        _target("bulk dispatch", rounds.of(ours, "burst", "dispatched_per_second"), 20_000, "jobs/s"),
        _target("dispatch from 8 threads, p99", rounds.of(ours, "threads", "p99"), -50, "ms"),
        _target("dispatch from 8 threads, errors", rounds.worst(ours, "threads", "errors"), -0.0, "errors"),
        _target(
            f"throughput with {finished.get('jobs', 0):,} finished jobs: × with none",
            min(past, default=None),
            0.9,
        ),
        _target(f"claim with {at(growth, ('pending', 'jobs')) or 0:,} pending: × with 100", claims, -1.2),
        _target(
            f"PostgreSQL, claim with {on_server.get('jobs', 0):,} pending: × with 1,000",
            on_server.get("ratio"),
            -1.2,
        ),
        _target(f"memory grown over {series[-1]['jobs'] if series else 0:,} jobs", grown, -5, "MiB"),
        _target("idle memory, all processes", rounds.of(ours, "idle_mib"), -90, "MiB"),
        _target("first dispatch: over the import of the app", at(growth, ("first", "over")), -150, "ms"),
    ]
    return table("### Targets", ["what", "measured", "target", ""], rows)


def _target(what: str, value: float | None, target: float, unit: str = "") -> list[str]:
    """A target that is negative is an upper bound."""
    at_most = str(target).startswith("-")
    bound = f"{'≤' if at_most else '≥'} {number(abs(target))} {unit}".strip()
    if value is None:
        return [what, "not measured", bound, ""]
    met = value <= abs(target) if at_most else value >= target
    return [what, f"{number(value)} {unit}".strip(), bound, "met" if met else "**missed**"]


def _throughput(rounds: Rounds) -> str:
    rows = []
    for system in rounds.systems:
        jobs, long = rounds.of(system, "burst", "jobs"), rounds.of(system, "long", "jobs")
        rows.append(
            _row(
                rounds,
                system,
                _times(rounds.to_forks(system, "best")),
                _times(rounds.to_system(system, "rq-2", "best")),
                _of_jobs(rounds.of(system, "burst", "per_second"), jobs, 1000),
                _of_jobs(rounds.of(system, "long", "per_second"), long, 20_000),
                _of_jobs(rounds.of(system, "one_by_one", "per_second"), jobs, 1000),
                _of_jobs(rounds.of(system, "work", "per_second"), rounds.of(system, "work", "jobs"), 500),
            )
        )
    heads = ["", "× bare forks", "× RQ, 2 workers", "1,000 jobs", "20,000 jobs", "one by one", "500 of 5 ms CPU"]
    title = (
        "### Throughput\n\nJobs a second from the first dispatch to the last end, dispatched by the bulk call of "
        "the system where it has one, and one by one; the ratios take the better of the two, and the forks "
        "that were measured right before and after. A slow system gets fewer jobs: their number stands in "
        "brackets."
    )
    return table(title, heads, rows)


def _latency(rounds: Rounds) -> str:
    rows = []
    for system in rounds.systems:
        errors = rounds.worst(system, "threads", "errors")
        rows.append(
            _row(
                rounds,
                system,
                *(_pair(rounds, system, "start", "p50", "p95"), _pair(rounds, system, "alone", "p50", "p99")),
                *(
                    _pair(rounds, system, "one_by_one", "p50", "p99"),
                    _pair(rounds, system, "threads", "p50", "p99"),
                ),
                number(errors),
            )
        )
    heads = ["ms", "start p50 / p95", "dispatch p50 / p99", "… during a burst", "… from 8 threads", "errors"]
    title = (
        "### Latency\n\nStart: from the call to the first line of the job, everything idle before. Dispatch: the "
        "call by itself, with no worker running."
    )
    return table(title, heads, rows)


def _memory(rounds: Rounds) -> str:
    rows = []
    for system in rounds.systems:
        left = rounds.worst(system, "left")
        rows.append(
            _row(
                rounds,
                system,
                f"{number(rounds.of(system, 'idle_mib'))} MiB",
                _of_jobs(rounds.of(system, "long", "mib"), rounds.of(system, "long", "jobs"), 20_000, " MiB"),
                f"{number(rounds.of(system, 'processes'))} of {number(rounds.of(system, 'jobs'))}",
                number(rounds.worst(system, "lost")),
                number(rounds.worst(system, "twice")),
                str(len(left or [])),
            )
        )
    heads = ["", "idle", "after 20,000 jobs", "processes of jobs", "lost", "run twice", "left running"]
    title = (
        "### Memory, and what became of the jobs\n\nPSS of all processes of a system, without the server of its "
        "queue; every worker has Flask and SQLAlchemy loaded. Lost and run twice: the worst round."
    )
    return table(title, heads, rows)


def _limits(rounds: Rounds) -> str:
    rows = [
        [
            "fork and exit of a process with Flask and SQLAlchemy, 4 in flight",
            f"{number(rounds.limit('forks'))}/s",
        ],
        ["SQLite, commits of one row with full sync", f"{number(rounds.limit('commits'))}/s"],
        ["an interpreter that loads the application, 2 in flight", f"{number(rounds.limit('interpreters'))}/s"],
    ]
    return table("### Limits of the machine in the same rounds", ["what", "median"], rows)


def _growth(growth: dict[str, Any]) -> str:
    if "not_measured" in growth:
        return f"### The cost of growth\n\nnot measured: {growth['not_measured']}"
    finished, pending, first = growth["finished"], growth["pending"], growth["first"]
    rows = [
        [
            f"{name}: throughput with {finished['jobs']:,} finished jobs in the table",
            f"**{_times(found['ratio'])}** ({number(found['with'])}/s; with none {number(found['without'])}/s)",
        ]
        for name, found in finished.items()
        if isinstance(found, dict)
    ]
    rows += [
        [
            f"claim of 4 jobs with {pending['jobs']:,} pending, p50 / p99",
            f"{number(pending['many']['p50'])} / {number(pending['many']['p99'])} ms (with 100: "
            f"{number(pending['few']['p50'])} / {number(pending['few']['p99'])} ms)",
        ],
        [
            "supervisor, fork server and waiting processes",
            ", ".join(f"{number(item['mib'])} MiB after {item['jobs']:,}" for item in growth["memory"]["series"]),
        ],
        [
            "first dispatch with nothing running, until the job starts",
            f"{number(first['start'])} ms (loading the application alone: {number(first['load'])} ms)",
        ],
    ]
    return table("### The cost of growth", ["what", "measured"], rows)


def _notes(rounds: Rounds) -> str:
    notes = [(rounds.text(system, "name"), rounds.text(system, "note")) for system in rounds.systems]
    return "### What was run\n\n" + "\n".join(f"- {name}: {note}." for name, note in notes if name)


# -- cells -------------------------------------------------------------------------------------------------


def _row(rounds: Rounds, system: str, *cells: str) -> list[str]:
    reason = rounds.text(system, "not_measured")
    name = rounds.text(system, "name") or system
    if reason is not None and rounds.text(system, "name") is None:
        return [name, f"not measured: {reason}", *[""] * (len(cells) - 1)]
    return [f"**{name}**" if system.startswith("bgjobs") else name, *cells]


def table(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(heads) - 1)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return f"{title}\n\n" + "\n".join(lines)


def _pair(rounds: Rounds, system: str, what: str, one: str, other: str) -> str:
    return f"{number(rounds.of(system, what, one))} / {number(rounds.of(system, what, other))}"


def _of_jobs(value: float | None, jobs: float | None, planned: int, unit: str = "/s") -> str:
    """A figure, and the number of jobs in brackets where it is not the planned one."""
    if value is None:
        return "–"
    return f"{number(value)}{unit}" + ("" if jobs == planned else f" ({number(jobs)})")


def _times(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f} ×"


def number(value: float | None) -> str:
    """Three digits that count."""
    if value is None:
        return "–"
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _rounds_text(results: Results) -> str:
    count = len(results["rounds"])
    return f"{count} rounds" if count > 1 else "one round (a quick run)"


def _median(values: Iterable[Any]) -> Any:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def _divided(one: float | None, other: float | None) -> float | None:
    return None if one is None or not other else one / other


def at(figures: Any, path: Sequence[str]) -> Any:
    for key in path:
        figures = figures.get(key) if isinstance(figures, dict) else None
    return figures


if __name__ == "__main__":
    print(markdown(json.loads(Path(sys.argv[1]).read_text("utf-8"))))

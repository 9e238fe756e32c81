"""What a host carries, on paper: from the figures of ``make bench``, for ``docs/scale.md``. Pure.

``python -m bench.scale`` puts the tables and the plot into the manual once more, from ``bench/results.json``.

A job costs a host so much CPU time, and what it computes itself comes on top. Where the burst of jobs that do
nothing was slower than that explains, the one supervisor was in the way: its CPU time, and its waits for disk or
server.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.plot import STYLE
from bench.report import Results, Rounds, at, insert_into, number, table

ROOT = Path(__file__).resolve().parent.parent
PAGE, PLOT = ROOT / "docs" / "scale.md", ROOT / "docs" / "scale.svg"

WORK = 0.005
"""Seconds of CPU time of the other measured burst."""


@dataclass(frozen=True)
class Way:
    """One way to run jobs, and what it costs. Seconds for each job."""

    name: str
    cost: float  # of CPU time, all processes on the host together
    supervisor: float = 0.0  # from which nobody can help the one supervisor
    met: bool = False  # whether that is a limit that was met, or only its CPU time
    server: float | None = None  # of CPU time, in the server of the database


@dataclass(frozen=True)
class Host:
    cores: int
    processes: int


@dataclass(frozen=True)
class Job:
    """Seconds for which it waits for others, and for which it computes."""

    waits: float = 0.0
    computes: float = 0.0


def carries(way: Way, host: Host, job: Job) -> tuple[float, str]:
    """Jobs a second, and what stands in the way of more: processes, CPU or supervisor."""
    limits = [
        (host.cores / (way.cost + job.computes), "CPU"),
        (host.processes / max(job.waits + job.computes, 1e-9), "processes"),
    ]
    if way.supervisor:
        limits.append((1 / way.supervisor, "supervisor"))
    return min(limits)


def ways(results: Results) -> list[Way]:
    """Those of ours that were measured."""
    rounds, cores = Rounds(results), results["machine"]["cpus"]
    found = []
    for system in rounds.systems:
        rate, spent = rounds.of(system, "burst", "per_second"), at(results, ("costs", "cpu", system))
        if rate and spent:
            cost = sum(spent[who] for who in ("caller", "supervisor", "processes")) / 1000
            met = rate < _EXPLAINED * cores / cost
            limit = 1 / rate if met else spent["supervisor"] / 1000
            server = spent["server"] / 1000 if spent.get("server") else None
            found.append(Way(rounds.text(system, "name") or system, cost, limit, met, server))
    return found


_EXPLAINED = 0.75
"""The share of what the CPU would allow from which on a burst is taken to be limited by it."""


# -- the page ----------------------------------------------------------------------------------------------


def markdown(results: Results) -> str:
    return "\n\n".join([_costs(results), _examples(results), _at_once(results)]) + "\n"


def _costs(results: Results) -> str:
    rounds, host = Rounds(results), Host(results["machine"]["cpus"], 1 << 20)
    measured = {rounds.text(system, "name"): rounds.of(system, "work", "per_second") for system in rounds.systems}
    rows = [
        [
            way.name,
            _ms(way.cost),
            f"{number(carries(way, host, Job(computes=WORK))[0])}/s, measured {number(measured[way.name])}/s",
            f"{'' if way.met else 'at most '}{number(1 / way.supervisor)}/s",
            "–" if way.server is None else f"{number(1 / way.server)}/s",
        ]
        for way in ways(results)
    ]
    heads = [
        "",
        "CPU time a job",
        "so with 5 ms of its own",
        "one supervisor ends at",
        "a core of the server ends at",
    ]
    return table("### What a job costs", heads, rows)


def _examples(results: Results) -> str:
    kinds = {
        "does nothing": Job(),
        "computes for 5 ms": Job(computes=0.005),
        "computes for 100 ms": Job(computes=0.1),
        "waits for 100 ms": Job(waits=0.1),
        "waits for 1 s": Job(waits=1),
        "waits for 1 minute": Job(waits=60),
    }
    hosts = [Host(2, 4), Host(2, 200), Host(8, 200)]
    measured = ways(results)[:2]
    heads = [
        "a job that …",
        *[f"{_short(way)}: {h.cores} cores, {h.processes} processes" for way in measured for h in hosts],
    ]
    rows = [
        [kind, *[_carried(way, host, job) for way in measured for host in hosts]] for kind, job in kinds.items()
    ]
    return table("### What one host carries", heads, rows)


def _carried(way: Way, host: Host, job: Job) -> str:
    rate, limit = carries(way, host, job)
    return f"{number(rate)}/s {limit}" if rate >= 1 else f"{number(rate * 60)}/min {limit}"


def _at_once(results: Results) -> str:
    series = at(results, ("costs", "at_once")) or []
    rows = [
        [number(found["jobs"]), f"{number(found['mib'])} MiB", f"{found['supervisor'] * 100:.1f} %"]
        for found in series
    ]
    each = (
        (series[-1]["mib"] - series[0]["mib"]) / (series[-1]["jobs"] - series[0]["jobs"])
        if len(series) > 1
        else None
    )
    title = "### Many jobs at once"
    title += f"\n\nJobs that only wait. Each takes {number(each)} MiB, and what it loads by itself."
    return table(title, ["running", "memory of all processes", "of one core, to watch them"], rows)


def _ms(seconds: float) -> str:
    return f"{number(seconds * 1000)} ms"


def _short(way: Way) -> str:
    return way.name.rpartition(", ")[2]


# -- the plot ----------------------------------------------------------------------------------------------

_WIDTH, _HEIGHT, _LEFT, _TOP, _RIGHT, _BOTTOM = 760, 380, 64, 56, 24, 30
_SECONDS, _RATES = (0.001, 100.0), (0.01, 10_000.0)


def plot(results: Results) -> str:
    """Jobs a second over how long a job waits, both in powers of ten."""
    found = ways(results)[:2]
    lines = [
        ("first", found[-1], Host(8, 200)),
        ("second", found[0], Host(8, 200)),
        ("third", found[0], Host(2, 4)),
    ]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        'aria-label="Jobs a second that one host carries, over the time that a job waits: flat as long as the CPU '
        'or the supervisor is the limit, then falling as the processes are all taken">',
        f"<style>{STYLE}{_LINES}</style>",
        '<text class="title" x="0" y="20">Jobs a second that one host carries</text>',
        '<text class="soft" x="0" y="40">by how long a job waits for others; on paper, '
        "from the measured costs</text>",
    ]
    bottom = _HEIGHT - _BOTTOM
    for power in range(-3, 3):
        x = f"{_x(10.0**power):.1f}"
        parts.append(f'<line class="grid" x1="{x}" y1="{_TOP}" x2="{x}" y2="{bottom}"/>')
        parts.append(f'<text class="soft" x="{x}" y="{bottom + 18}" text-anchor="middle">{_time(power)}</text>')
    for power in range(-2, 5):
        y = _y(10.0**power)
        parts.append(f'<line class="grid" x1="{_LEFT}" y1="{y:.1f}" x2="{_WIDTH - _RIGHT}" y2="{y:.1f}"/>')
        parts.append(f'<text class="soft" x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{_rate(power)}</text>')
    for place, (style, way, host) in enumerate(lines, 1):
        times = [10 ** (power / 20) for power in range(-60, 41)]
        points = " ".join(f"{_x(waits):.1f},{_y(carries(way, host, Job(waits))[0]):.1f}" for waits in times)
        label = f"{_short(way)}, {host.cores} cores, BGJOBS_PROCESSES = {host.processes}"
        y = bottom - 16 - 20 * (len(lines) - place)
        parts.append(f'<polyline class="{style}" points="{points}"/>')
        parts.append(f'<polyline class="{style}" points="{_LEFT + 14},{y - 4} {_LEFT + 38},{y - 4}"/>')
        parts.append(f'<text class="text of-{style}" x="{_LEFT + 46}" y="{y}">{label}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


_LINES = """
  polyline { fill: none; stroke-width: 2.5; stroke-linejoin: round }
  .first { stroke: #4f46e5 } .second { stroke: #0d9488 } .third { stroke: #b45309 }
  .of-first { fill: #4f46e5 } .of-second { fill: #0f766e } .of-third { fill: #b45309 }
  .grid { stroke: #818b98; opacity: .25 }
  @media (prefers-color-scheme: dark) {
    .first { stroke: #818cf8 } .second { stroke: #2dd4bf } .third { stroke: #fbbf24 }
    .of-first { fill: #818cf8 } .of-second { fill: #2dd4bf } .of-third { fill: #fbbf24 }
  }
"""


def _x(seconds: float) -> float:
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * _share(seconds, _SECONDS)


def _y(rate: float) -> float:
    return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * _share(rate, _RATES)


def _share(value: float, ends: Sequence[float]) -> float:
    return math.log(max(value, ends[0]) / ends[0]) / math.log(ends[1] / ends[0])


def _time(power: int) -> str:
    return f"{10 ** (power + 3):g} ms" if power < 0 else f"{10**power:g} s"


def _rate(power: int) -> str:
    return f"{10**power:,}" if power >= 0 else f"{10.0**power:g}"


def write(results: Results) -> None:
    """Put the tables and the plot into the manual."""
    insert_into(PAGE, markdown(results))
    PLOT.write_text(plot(results), "utf-8")


if __name__ == "__main__":
    write(json.loads((ROOT / "bench" / "results.json").read_text("utf-8")))

"""The numbers in the strip at the top of the overview."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from bgjobs.dashboard import formats
from bgjobs.dashboard.charts import sparkline
from bgjobs.dashboard.counts import count_words
from bgjobs.dashboard.glance import Glance
from bgjobs.dashboard.overview.numbers import THROUGHPUT_MINUTES, Numbers, ended_by_minute, throughput
from bgjobs.dashboard.overview.queries import RECENT_MINUTES, Found
from bgjobs.dashboard.overview.range import Range
from bgjobs.metrics import minute_of, percentile
from bgjobs.models import FAILED


@dataclass(frozen=True, slots=True)
class Stat:
    """One number of the strip. ``since`` is where bgjobs.js counts on from; ``line`` is drawn beside it."""

    name: str
    value: str
    hint: str
    line: str = ""
    since: str = ""


def strip(
    seen: Glance, looked_at: Range, found: Found, points: Sequence[Numbers], total: Numbers
) -> tuple[Stat, ...]:
    minute = minute_of(seen.now)
    recent = ended_by_minute(found.recent, minute, RECENT_MINUTES)
    rate = throughput(recent, seen.now.timestamp() % 60)
    settings, pulse = seen.state.settings, seen.pulse
    most = f"/{settings.processes}" if settings.backend == "local" else ""
    due = found.due if found.due is not None and found.due <= seen.now else None
    return (
        Stat("Throughput", f"{_rate(rate)}/min", f"last {THROUGHPUT_MINUTES} minutes", sparkline(recent[:-1])),
        Stat(
            "Failure rate",
            formats.share(total.kinds[FAILED], total.judged),
            f"{total.kinds[FAILED]:,} of {total.judged:,}",
            sparkline([point.failure_rate for point in points]),
        ),
        Stat(
            "p95 run",
            formats.duration(percentile(total.ran, 95)),
            looked_at.words,
            sparkline([percentile(point.ran, 95) for point in points]),
        ),
        Stat(
            "p95 wait",
            formats.duration(percentile(total.waited, 95)),
            looked_at.words,
            sparkline([percentile(point.waited, 95) for point in points]),
        ),
        Stat("Running", f"{count_words(pulse.running)}{most}", "processes" if most else "at once"),
        Stat(
            "Oldest due",
            formats.DASH if due is None else formats.elapsed((seen.now - due).total_seconds()),
            f"{count_words(pulse.pending)} pending",
            since="" if due is None else iso(due),
        ),
    )


def iso(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _rate(number: float) -> str:
    return f"{number:,.0f}" if number >= 9.95 else f"{number:.1f}" if number else "0"

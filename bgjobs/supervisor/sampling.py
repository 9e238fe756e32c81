"""Looks once a second at what the running jobs use. A job younger than a second is not looked at."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from bgjobs.processes.measure import Measured, measure
from bgjobs.samples import Sample
from bgjobs.supervisor.running import RunningJob

INTERVAL = 1.0
YOUNGEST = 1.0


@dataclass(slots=True)
class _Track:
    """What was last seen of one execution, and how often it is looked at."""

    cpu_seconds: float
    at: float
    interval: float = INTERVAL


class Sampler:
    """The samples of every execution, from its second second on."""

    def __init__(self) -> None:
        self._tracks: dict[str, _Track] = {}  # by execution token
        self._next_look_at = 0.0

    def take(self, running: Collection[RunningJob], now: float | None = None) -> list[Sample]:
        """The samples that are due; mostly none."""
        now = time.monotonic() if now is None else now
        if now < self._next_look_at:
            return []
        self._next_look_at = now + INTERVAL
        old = [job for job in running if now - job.started >= YOUNGEST]
        if not old:
            self._tracks.clear()
            return []
        known, self._tracks = self._tracks, {}
        moment = datetime.now(UTC)
        taken = []
        for job in old:
            token = job.job.token
            track = known.get(token)
            if track is not None and now < track.at + track.interval - INTERVAL / 2:
                self._tracks[token] = track
                continue
            seen = measure(job.identity)
            if seen is None:
                continue
            job.note_usage(seen.rss, seen.cpu_seconds)
            taken.append(Sample(job.job, moment, _share(track, seen, now), seen.rss, seen.threads, seen.children))
            self._tracks[token] = _Track(seen.cpu_seconds, now, INTERVAL if track is None else track.interval)
        return taken

    def look_less_often(self, tokens: Iterable[str]) -> None:
        """Every second point of these executions was dropped, so half as many are wanted from now on."""
        for token in tokens:
            if token in self._tracks:
                self._tracks[token].interval *= 2


def _share(track: _Track | None, seen: Measured, now: float) -> float | None:
    """Percent of one CPU since the last look. What a child used that nobody waited for is gone with it."""
    if track is None or now <= track.at:
        return None
    return round(max(0.0, seen.cpu_seconds - track.cpu_seconds) / (now - track.at) * 100, 1)

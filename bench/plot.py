"""The plot for the README: bars drawn as SVG by ourselves, readable on a light and on a dark page.

``python -m bench.plot RESULTS.json`` prints it.
"""

from __future__ import annotations

import json
import sys
from html import escape
from pathlib import Path
from typing import Any

from bench.report import Rounds

_WIDTH, _LABELS, _BAR, _STEP = 760, 190, 18, 30
_TOP = 62
STYLE = """
  .title { font: 600 16px system-ui, sans-serif; fill: #1f2328 }
  .text { font: 13px system-ui, sans-serif; fill: #1f2328 }
  .on-ours { font: 600 13px system-ui, sans-serif; fill: #ffffff }
  .soft { font: 12px system-ui, sans-serif; fill: #59636e }
  .ours { fill: #4f46e5 } .peer { fill: #b6bec9 } .track { fill: #818b98; opacity: .12 }
  .limit { stroke: #d97706; stroke-width: 1.5; stroke-dasharray: 4 3 } .of-limit { fill: #b45309 }
  @media (prefers-color-scheme: dark) {
    .on-ours { fill: #0d1117 }
    .title, .text { fill: #f0f6fc } .soft { fill: #9198a1 }
    .ours { fill: #818cf8 } .peer { fill: #59636e } .limit { stroke: #fbbf24 } .of-limit { fill: #fbbf24 }
  }
"""


def throughput_plot(results: dict[str, Any]) -> str:
    """No-op jobs a second of each system that was measured, with the bare fork limit as a line."""
    rounds = Rounds(results)
    bars = [
        (
            rounds.text(system, "name") or system,
            rounds.of(system, "best"),
            system.startswith("bgjobs"),
        )
        for system in rounds.systems
    ]
    bars = sorted((bar for bar in bars if bar[1] is not None), key=lambda bar: -bar[1])
    forks = rounds.limit("forks") or 0.0
    most = max([forks, *(value for _, value, _ in bars)], default=1.0)
    height = _TOP + _STEP * len(bars) + 34
    room = _WIDTH - _LABELS - 80

    def length(value: float) -> float:
        return room * value / most

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'aria-label="{escape(_summary(bars))}">',
        f"<style>{STYLE}</style>",
        '<text class="title" x="0" y="20">Jobs a second</text>',
        f'<text class="soft" x="0" y="40">Jobs that do nothing, {results["machine"]["cpus"]} cores; '
        "the median of the rounds</text>",
    ]
    for place, (name, value, ours) in enumerate(bars):
        y = _TOP + _STEP * place
        width = max(3, length(value))
        parts += [
            f'<text class="text" x="{_LABELS - 12}" y="{y + 13}" text-anchor="end">{escape(name)}</text>',
            f'<rect class="track" x="{_LABELS}" y="{y}" width="{room}" height="{_BAR}" rx="4"/>',
            f'<rect class="{"ours" if ours else "peer"}" x="{_LABELS}" y="{y}" width="{width:.1f}" '
            f'height="{_BAR}" rx="4"/>',
            _figure(value, _LABELS + width, y + 13, line=_LABELS + length(forks), ours=ours),
        ]
    if forks:
        x, bottom = _LABELS + length(forks), _TOP + _STEP * len(bars)
        parts += [
            f'<line class="limit" x1="{x:.1f}" y1="{_TOP - 6}" x2="{x:.1f}" y2="{bottom}"/>',
            f'<text class="soft of-limit" x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">'
            f"bare fork and exit: {forks:,.0f}</text>",
        ]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _figure(value: float, end: float, y: int, *, line: float, ours: bool) -> str:
    """The number behind its bar; at the end of the bar, inside, where the line of the limit would cross it."""
    text = f"{value:,.0f}"
    if end < line + 6 and end + 14 + 8 * len(text) > line:
        shade = "on-ours" if ours else "text"
        return f'<text class="{shade}" x="{end - 8:.1f}" y="{y}" text-anchor="end">{text}</text>'
    return f'<text class="text" x="{end + 8:.1f}" y="{y}">{text}</text>'


def _summary(bars: list[tuple[str, float, bool]]) -> str:
    return "Jobs a second: " + ", ".join(f"{name} {value:,.0f}" for name, value, _ in bars)


if __name__ == "__main__":
    print(throughput_plot(json.loads(Path(sys.argv[1]).read_text("utf-8"))))

"""The page of the health as the template shows it, and the same as a text to send to somebody."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.engine import URL

from bgjobs.app_state import AppState
from bgjobs.dashboard import formats
from bgjobs.dashboard.facts import Fact
from bgjobs.dashboard.formats import Moment
from bgjobs.dashboard.health import facts
from bgjobs.redaction import escape_lines, mask_urls, shorten
from bgjobs.supervisor.doctor import Check, examine

_DETAIL_LENGTH = 4 * 1024


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found."""

    name: str
    ok: bool
    detail: str
    remedy: str


@dataclass(frozen=True, slots=True)
class HealthPage:
    looked: Moment | None
    findings: list[Finding]
    all_ran: bool
    database: list[Fact]
    clock: list[Fact]
    versions: list[Fact]
    approved: list[facts.Approved]
    files: list[facts.LogFile]
    settings: list[facts.Setting]

    @property
    def faults(self) -> int:
        return sum(not finding.ok for finding in self.findings)


def health_page(state: AppState, now: datetime, *, all_checks: bool = False) -> HealthPage:
    """Look at everything; what loads the application in a process of its own, only with ``all_checks``."""
    findings = [_finding(check, state.database_url) for check in examine(state, quick=not all_checks)]
    with state.store.database.reading() as connection:
        database, clock = facts.database_facts(state, connection), facts.clock_facts(connection, now)
    return HealthPage(
        looked=formats.moment(now, now),
        findings=findings,
        all_ran=all_checks,
        database=database,
        clock=clock,
        versions=facts.version_facts(),
        approved=facts.approved_classes(state),
        files=facts.log_files(state),
        settings=facts.settings_in_force(state.settings),
    )


def as_text(page: HealthPage) -> str:
    """Everything on the page as plain text."""
    return "\n".join(_lines(page))


def _lines(page: HealthPage) -> Iterator[str]:
    yield "bgjobs diagnostics"
    yield from _block("Checks", [f"{'ok ' if it.ok else 'NOT'} {it.name}: {it.detail}" for it in page.findings])
    for title, found in (("Database", page.database), ("Clock", page.clock), ("Versions", page.versions)):
        yield from _block(title, [f"{fact.name}: {fact.text}" for fact in found])
    yield from _block("Approved classes", [f"{it.name}: {it.fault or it.methods}" for it in page.approved])
    yield from _block("Log files", [f"{it.path}: {it.size}{it.fault and f', {it.fault}'}" for it in page.files])
    yield from _block("Settings", [f"{it.name} = {it.value}" for it in page.settings])


def _block(title: str, lines: Sequence[str]) -> Iterator[str]:
    yield ""
    yield f"## {title}"
    yield from lines


def _finding(check: Check, database: URL) -> Finding:
    # A password may stand among the options of an address, too.
    detail = check.detail.replace(database.render_as_string(), facts.shown_url(database))
    detail = shorten(mask_urls(escape_lines(detail)), _DETAIL_LENGTH)
    return Finding(check.check, check.ok, detail, "" if check.ok else check.remedy)

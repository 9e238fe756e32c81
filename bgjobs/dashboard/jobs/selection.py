"""Which jobs somebody wants to act on, whether that was asked back, and how it went."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl

from werkzeug.datastructures import MultiDict

from bgjobs.bulk import BULK_LIMIT
from bgjobs.by_hand import CANCEL, DELETE, MANY_AT_ONCE, RETRY, Tally
from bgjobs.dashboard.addresses import whole_number
from bgjobs.dashboard.jobs.query import JobQuery
from bgjobs.dashboard.paging import PER_PAGE

MOST_SELECTED = PER_PAGE[-1]
"""Jobs that are dealt with in the request itself."""
TYPED_ABOVE = 100
"""Beyond that many, the number has to be typed."""

_VERBS = {RETRY: "Retry", CANCEL: "Cancel", DELETE: "Delete"}
MEANINGS = {
    RETRY: "They become pending again, with all their retries.",
    CANCEL: "Those that wait will not start; those that run are asked to stop.",
    DELETE: "What belongs to them goes, too: logs, attempts and output. That cannot be undone.",
}
"""What each action does to the jobs, for whoever is asked whether it is meant."""
_is_result = re.compile(rf"({'|'.join(MANY_AT_ONCE)})-([0-9]{{1,6}})-([0-9]{{1,6}})-([0-9]{{1,6}})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Selection:
    """The jobs by their numbers, or all that match ``query``, but no more than the reader was ``told`` of."""

    query: JobQuery
    job_ids: tuple[int, ...]
    is_all: bool
    told: int
    confirmed: str

    @classmethod
    def of(cls, form: MultiDict[str, str]) -> Selection:
        numbers = (whole_number(text) for text in form.getlist("job"))
        ids = tuple(dict.fromkeys(number for number in numbers if number is not None))
        told = min(whole_number(form.get("count")) or BULK_LIMIT, BULK_LIMIT)
        is_all = bool(form.get("all"))
        return cls(
            query=_query(form.get("query", "")),
            job_ids=() if is_all else ids,
            is_all=is_all,
            told=told if is_all else len(ids),
            confirmed=form.get("confirmed", ""),
        )

    def must_be_asked(self, action: str) -> bool:
        """Whether the reader has to say once more that it is meant."""
        if self.told > TYPED_ABOVE:
            return self.confirmed.strip().replace(",", "") != str(self.told)
        return action != RETRY and not self.confirmed


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked where no script could do it."""

    action: str
    title: str
    meaning: str
    go_on: str
    typed: str  # what has to be typed, if anything


def question(action: str, number: int) -> Question:
    title = f"{_VERBS[action]} {number:,} {'job' if number == 1 else 'jobs'}"
    return Question(action, f"{title}?", MEANINGS[action], title, str(number) if number > TYPED_ABOVE else "")


def result_of(action: str, tally: Tally) -> str:
    """For the address of the page that comes after it."""
    return f"{action}-{tally.done}-{tally.too_late}-{tally.gone}"


def result_words(result: str) -> str:
    """The same in words; nothing for what is no result."""
    if result == "none":
        return "No job was selected, so nothing was changed."
    found = _is_result.fullmatch(result)
    if not found:
        return ""
    action, *numbers = found.groups()
    return f"{Tally(*map(int, numbers)).words(action)}."


def _query(text: str) -> JobQuery:
    try:
        return JobQuery.of(dict(parse_qsl(text, max_num_fields=20)))
    except ValueError:
        return JobQuery()

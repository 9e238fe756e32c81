"""S7 and every option of a dispatch: what is taken, what is refused, and whose word counts."""

import logging
from datetime import UTC, datetime, timedelta, timezone

import pytest

from bgjobs import CustomBackgroundJobRunner, run_background_job
from bgjobs.exceptions import InvalidParameters


class Plain:
    def run(self):
        pass


class WithItsOwn:
    max_retries = 7
    retry_delay = (1, 2)
    timeout = 30
    queue = "reports"
    priority = -5

    def run(self):
        pass


class WithACallableDelay:
    @staticmethod
    def retry_delay(retry):
        return retry * 100

    def run(self):
        pass


class WithALambda:
    retry_delay = lambda retry: retry * 7  # noqa: E731

    def run(self):
        pass


class WithNonsense:
    timeout = "soon"

    def run(self):
        pass


class Runner(CustomBackgroundJobRunner):
    MAX_RETRIES = 5
    RETRY_DELAY = 10
    approved_classes = (Plain, WithItsOwn, WithACallableDelay, WithALambda, WithNonsense)


class RunnerWithAList(Runner):
    MAX_RETRIES = 0
    RETRY_DELAY = (1, 2)


class RunnerWithAFunction(Runner):
    MAX_RETRIES = 2
    RETRY_DELAY = lambda retry: 3 * retry  # noqa: E731


@pytest.fixture(scope="module")
def site(make_site):
    return make_site(runner_class=Runner, backend="local", timeout=99)


def dispatched(site, job_class, **options):
    with site.app.app_context():
        return site.row(run_background_job(job_class, "run", **options).id)


# option, then the value given in the call and the value stored
CALL = [
    ("max_retries", 0, 0),
    ("max_retries", 1000, 1000),
    ("retry_delay", 0, 0.0),
    ("retry_delay", 2.5, 2.5),
    ("retry_delay", [1, 5], [1.0, 5.0]),
    ("retry_delay", (1, 5), [1.0, 5.0]),
    ("retry_delay", lambda retry: retry * 2, [2.0, 4.0, 6.0, 8.0, 10.0]),
    ("timeout", 5, 5.0),
    ("timeout", 0.1, 0.1),
    ("queue", "mail", "mail"),
    ("queue", "a" * 100, "a" * 100),
    ("queue", "a.b:c-d_9", "a.b:c-d_9"),
    ("priority", -(2**31), -(2**31)),
    ("priority", 2**31 - 1, 2**31 - 1),
    ("retry_count", 5, 5),
    ("retry_count", 0, 0),
]


@pytest.mark.parametrize(("option", "given", "stored"), CALL)
def test_what_the_call_gives_is_stored(site, option, given, stored):
    assert getattr(dispatched(site, Plain, **{option: given}), option) == stored


PRECEDENCE = [
    # option, by default, from the class, from the call over the class
    ("max_retries", 5, 7, 2),
    ("retry_delay", 10.0, [1.0, 2.0], 3.0),
    ("timeout", 99.0, 30.0, 4.0),
    ("queue", "default", "reports", "other"),
    ("priority", 0, -5, 8),
]


@pytest.mark.parametrize(("option", "default", "of_class", "of_call"), PRECEDENCE)
def test_the_call_goes_before_the_class_and_the_class_before_runner_and_settings(
    site, option, default, of_class, of_call
):
    assert getattr(dispatched(site, Plain), option) == default
    assert getattr(dispatched(site, WithItsOwn), option) == of_class
    assert getattr(dispatched(site, WithItsOwn, **{option: of_call}), option) == of_call


def test_zero_in_the_call_goes_before_the_class(site):
    row = dispatched(site, WithItsOwn, max_retries=0, retry_delay=0, priority=0)
    assert (row.max_retries, row.retry_delay, row.priority) == (0, 0.0, 0)


@pytest.mark.parametrize(
    ("job_class", "stored"), [(WithACallableDelay, [100, 200, 300, 400, 500]), (WithALambda, [7, 14, 21, 28, 35])]
)
def test_the_delay_of_a_class_may_be_a_function_and_is_kept_as_data(site, job_class, stored):
    assert dispatched(site, job_class).retry_delay == stored


@pytest.mark.parametrize(
    ("runner", "max_retries", "retry_delay"),
    [(CustomBackgroundJobRunner, 3, 5.0), (RunnerWithAList, 0, [1.0, 2.0]), (RunnerWithAFunction, 2, [3.0, 6.0])],
)
def test_the_runner_sets_the_defaults(make_site, runner, max_retries, retry_delay):
    row = dispatched(make_site(Plain, runner_class=runner, backend="local"), Plain)
    assert (row.max_retries, row.retry_delay, row.timeout, row.queue) == (
        max_retries,
        retry_delay,
        None,
        "default",
    )


REFUSED = [
    *[
        ("retry_count", value)
        for value in (-1, 6, 10**9, 10**400, True, False, "3", 2.5, 3.0, float("nan"), None, [1])
    ],
    *[("max_retries", value) for value in (-1, 1001, 10**9, True, "3", 2.5, float("nan"), [3])],
    *[
        ("retry_delay", value)
        for value in (-1, True, "5", float("nan"), float("inf"), 10**400, [], [1, -1], {}, [0] * 2000)
    ],
    *[("timeout", value) for value in (0, 0.0, -1, True, "5", float("nan"), float("inf"), 10**400)],
    *[
        ("delay", value)
        for value in (-1, True, "5", float("nan"), float("inf"), 10**400, timedelta(-1), timedelta.max)
    ],
    *[("queue", value) for value in ("", "a b", "a\n", "a" * 101, "é", "../x", 5, b"mail", True, "a\0")],
    *[("priority", value) for value in (2**31, -(2**31) - 1, 10**400, True, 1.0, "1", float("nan"))],
    *[
        ("run_at", value)
        for value in (
            datetime(2030, 1, 1),  # noqa: DTZ001
            "2030-01-01",
            0,
            datetime.now(UTC).date(),
            datetime.max.replace(tzinfo=timezone(timedelta(hours=-12))),
            datetime.min.replace(tzinfo=timezone(timedelta(hours=12))),
        )
    ],
]


@pytest.mark.parametrize(("option", "value"), REFUSED, ids=lambda value: ascii(value)[:20])
def test_what_an_option_cannot_be_is_refused_and_nothing_is_written(site, option, value):
    dispatched(site, Plain)
    before = site.count()
    with pytest.raises(InvalidParameters, match=option):
        dispatched(site, Plain, **{option: value})
    assert site.count() == before


def test_nonsense_on_the_class_is_refused_too(site):
    with pytest.raises(InvalidParameters, match="timeout"):
        dispatched(site, WithNonsense)


def test_delay_and_run_at_together_are_refused(site):
    with pytest.raises(InvalidParameters, match="not both"):
        dispatched(site, Plain, delay=1, run_at=datetime.now(UTC))


def test_nobody_can_give_a_retry_count_beyond_the_retries_there_are(site):
    assert dispatched(site, Plain, max_retries=2, retry_count=2).retry_count == 2
    with pytest.raises(InvalidParameters, match="0 to 2"):
        dispatched(site, Plain, max_retries=2, retry_count=3)
    with pytest.raises(InvalidParameters, match="0 to 0"):
        dispatched(site, Plain, max_retries=0, retry_count=1)


@pytest.mark.parametrize("delay", [0, 1, 90.5, timedelta(hours=2), timedelta(0)])
def test_a_delay_counts_from_the_dispatch(site, delay):
    before = datetime.now(UTC)
    row = dispatched(site, Plain, delay=delay)
    delay = delay if isinstance(delay, timedelta) else timedelta(seconds=delay)
    assert before + delay <= row.scheduled_at <= datetime.now(UTC) + delay


@pytest.mark.parametrize(
    "run_at",
    [
        datetime(2031, 6, 1, 12, 0, 0, 123456, tzinfo=UTC),
        datetime(2031, 6, 1, 12, tzinfo=timezone(timedelta(hours=5, minutes=30))),
        datetime(1999, 1, 1, tzinfo=UTC),
        datetime(9999, 12, 31, tzinfo=UTC),
    ],
)
def test_a_time_to_run_at_is_stored_as_that_moment_in_utc(site, run_at):
    row = dispatched(site, Plain, run_at=run_at)
    assert row.scheduled_at == run_at
    assert row.scheduled_at.tzinfo is UTC


HINTS = [
    # retry_count, max_retries, whether the hint is logged
    (0, 3, False),
    (2, 3, False),
    (3, 3, True),
    (1, 1, True),
    (0, 0, False),
]


@pytest.mark.parametrize(("retry_count", "max_retries", "hinted"), HINTS)
def test_a_retry_count_that_leaves_no_retry_is_hinted_at(site, caplog, retry_count, max_retries, hinted):
    with caplog.at_level(logging.WARNING, "bgjobs"):
        dispatched(site, Plain, retry_count=retry_count, max_retries=max_retries)
    hints = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert bool(hints) is hinted
    if hinted:
        assert f"for {retry_count} retries pass max_retries={retry_count}" in hints[0]


def test_a_job_dispatched_as_its_last_retry_runs_once(make_site):
    site = make_site(Failing)
    handle = site.dispatch(Failing, "run", retry_count=3)
    assert (handle.status, handle.retry_count, len(site.attempts(handle.id))) == ("failed", 3, 1)
    assert ("failure", "ValueError: no (attempt 4 of 4)") in site.story(handle.id)


class Failing:
    def run(self):
        raise ValueError("no")

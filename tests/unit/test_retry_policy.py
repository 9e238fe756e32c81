"""When a failed attempt runs again: tables of a pure decision."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgjobs.exceptions import InvalidParameters
from bgjobs.retry import (
    LONGEST_DELAY,
    MOST_RETRIES,
    RetryPolicy,
    checked_max_retries,
    checked_retry_count,
    checked_retry_delay,
    checked_seconds,
)

HUGE = 10**400


@pytest.mark.parametrize(
    ("max_retries", "retry_count", "allowed"),
    [(3, 0, True), (3, 2, True), (3, 3, False), (3, 4, False), (0, 0, False), (1, 0, True), (1, 1, False)],
)
def test_a_retry_is_allowed_while_fewer_than_max_retries_were_made(max_retries, retry_count, allowed):
    assert RetryPolicy(max_retries, 5).allows(retry_count) is allowed


@pytest.mark.parametrize(
    ("delay", "seconds"),
    [
        (5, [5, 5, 5, 5]),
        (0.0, [0, 0, 0, 0]),
        ([1, 10, 60], [1, 10, 60, 60]),
        ([7], [7, 7, 7, 7]),
    ],
)
def test_the_delay_after_each_attempt(delay, seconds):
    policy = RetryPolicy(4, delay)
    assert [policy.delay_after(retry_count) for retry_count in range(4)] == seconds


@given(max_retries=st.integers(0, 50), first=st.integers(0, 50))
def test_there_are_never_more_attempts_than_retries_and_one(max_retries, first):
    policy, attempts, retry_count = RetryPolicy(max_retries, 0), 1, first
    while policy.allows(retry_count):
        attempts, retry_count = attempts + 1, retry_count + 1
    assert attempts <= max_retries + 1
    assert retry_count <= max(first, max_retries)


NO_NUMBERS = [None, "5", b"5", True, False, [], {}, 1j, object()]


@pytest.mark.parametrize("value", [*NO_NUMBERS, 2.5, 2.0, float("nan"), -1, MOST_RETRIES + 1, 10**9, HUGE])
def test_max_retries_is_a_whole_number_up_to_a_thousand(value):
    with pytest.raises(InvalidParameters, match="max_retries"):
        checked_max_retries(value)


@pytest.mark.parametrize("value", [*NO_NUMBERS, 2.5, float("nan"), float("inf"), -1, 4, 10**9, HUGE, -HUGE, "3"])
def test_retry_count_is_the_number_of_one_of_the_retries(value):
    with pytest.raises(InvalidParameters, match="retry_count") as refused:
        checked_retry_count(value, 3)
    assert refused.value.path == "retry_count"


@pytest.mark.parametrize("value", [0, 1, 2, 3])
def test_retry_count_up_to_max_retries_is_taken(value):
    assert checked_retry_count(value, 3) == value


@pytest.mark.parametrize(
    "value", [*NO_NUMBERS, -1, -0.001, float("nan"), float("inf"), -float("inf"), LONGEST_DELAY * 2, HUGE, -HUGE]
)
def test_seconds_are_a_finite_number_up_to_ten_years(value):
    with pytest.raises(InvalidParameters, match="delay"):
        checked_seconds(value, "delay")


@pytest.mark.parametrize("value", [0, 0.0, 1, 2.5, LONGEST_DELAY])
def test_good_seconds_are_a_float(value):
    assert checked_seconds(value, "delay") == value
    assert isinstance(checked_seconds(value, "delay"), float)


@pytest.mark.parametrize(
    ("given", "max_retries", "stored"),
    [
        (5, 3, 5.0),
        ([1, 2], 3, [1.0, 2.0]),
        ((1, 2), 3, [1.0, 2.0]),
        ([1, 2, 3, 4, 5], 3, [1.0, 2.0, 3.0, 4.0, 5.0]),
        (lambda retry: retry * 10, 3, [10.0, 20.0, 30.0]),
        (lambda retry: 2**retry, 1, [2.0]),
        (lambda retry: 1 / 0, 0, 0.0),  # never asked: there is no retry
    ],
)
def test_delays_are_kept_as_data(given, max_retries, stored):
    assert checked_retry_delay(given, max_retries) == stored


@pytest.mark.parametrize(
    "given",
    [
        [],
        (),
        "55",
        {1: 2},
        [1, -1],
        [1, "2"],
        [float("nan")],
        [1, HUGE],
        [[1]],
        [0] * (MOST_RETRIES + 1),
        lambda retry: -1,
        lambda retry: None,
        lambda retry: float("nan"),
    ],
)
def test_delays_that_cannot_be_are_refused(given):
    with pytest.raises(InvalidParameters, match="retry_delay"):
        checked_retry_delay(given, 3)

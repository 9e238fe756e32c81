"""What a job may use: what is taken and refused, whose word counts, and what an edited row makes of it."""

import pytest

from bgjobs import CustomBackgroundJobRunner, run_background_job
from bgjobs.exceptions import ConfigurationError, InvalidParameters
from bgjobs.limits import limits_of_row, memory_size, niceness, output_size
from bgjobs.lookups import execution_of

MIB = 2**20

SIZES = [
    (512 * MIB, 512 * MIB),
    (MIB, MIB),
    ("512M", 512 * MIB),
    ("512m", 512 * MIB),
    ("512MB", 512 * MIB),
    ("512 MiB", 512 * MIB),
    (" 2G ", 2048 * MIB),
    ("1.5G", 1536 * MIB),
    ("1048576", MIB),
    ("1048576B", MIB),
    ("2048K", 2 * MIB),
    ("1T", 2**40),
]
NO_SIZES = [
    *("", "M", "512X", "-1M", "1e9", "0", "512M512M", "１G", "1" * 16, "5" * 9999, "\n", "512M\x00"),
    *(0, 1, -5, MIB - 1, 2**50 + 1, 2**70, "1023K", True, 1.5e9, float("nan"), [], {}, b"512M", object()),
]


@pytest.mark.parametrize(("given", "size"), SIZES)
def test_a_size_is_a_number_or_a_text_with_a_unit(given, size):
    assert memory_size(given) == size


@pytest.mark.parametrize("given", NO_SIZES, ids=lambda given: repr(given)[:20])
def test_what_is_no_size_is_refused(given):
    with pytest.raises(ValueError, match="512M"):
        memory_size(given)


def test_output_may_be_smaller_than_memory():
    assert output_size("1K") == 1024
    with pytest.raises(ValueError, match="1,024"):
        output_size(1023)


@pytest.mark.parametrize("given", [-1, 20, 1.0, "5", True, None, [], 2**70])
def test_what_is_no_niceness_is_refused(given):
    with pytest.raises(ValueError, match="0 to 19"):
        niceness(given)


ROWS = [
    (None, None),
    ({}, None),
    ([], None),
    ("text", None),
    (7, None),
    ({"memory": 512 * MIB}, {"memory": 512 * MIB}),
    ({"memory": "512M", "nice": 3}, {"memory": 512 * MIB, "nice": 3}),
    ({"memory": -1, "nice": 99, "output_max": 4096}, {"output_max": 4096}),
    ({"memory": None, "nice": None}, None),
    ({"memory": [1], "other": 1}, None),
    ({"nice": -20}, None),
]


@pytest.mark.parametrize(("stored", "limits"), ROWS)
def test_of_an_edited_row_only_what_can_be_is_taken(stored, limits):
    assert limits_of_row(stored) == limits


class Plain:
    def run(self):
        pass


class Limited:
    memory = "256M"
    nice = 5
    output_max = 4096

    def run(self):
        pass


class Namesake:
    """Its methods have the names of limits, and are methods all the same."""

    def run(self):
        pass

    def memory(self):
        pass

    def nice(self):
        pass


class Runner(CustomBackgroundJobRunner):
    approved_classes = (Plain, Limited, Namesake)


@pytest.fixture(scope="module")
def site(make_site):
    return make_site(runner_class=Runner, backend="local")


@pytest.fixture(scope="module")
def limiting_site(make_site):
    return make_site(runner_class=Runner, backend="local", memory="1G", nice=2)


def limits(site, job_class, **options):
    return site.row(site.dispatch(job_class, "run", **options).id).limits


def test_a_job_has_no_limits_unless_somebody_says_so(site):
    assert limits(site, Plain) is None
    assert limits(site, Namesake) is None
    assert site.query("SELECT count(*) FROM background_jobs WHERE limits IS NOT NULL") == [(0,)]


def test_the_call_goes_before_the_class_and_the_class_before_the_settings(site, limiting_site):
    of_class = {"memory": 256 * MIB, "nice": 5, "output_max": 4096}
    assert limits(site, Limited) == of_class
    assert limits(site, Limited, memory="512M", nice=0) == {**of_class, "memory": 512 * MIB, "nice": 0}
    assert limits(site, Plain, output_max="2K") == {"output_max": 2048}
    assert limits(limiting_site, Plain) == limits(limiting_site, Namesake) == {"memory": 1024 * MIB, "nice": 2}
    assert limits(limiting_site, Limited) == of_class


def test_an_execution_carries_the_limits_and_survives_the_channel(site):
    row = site.row(site.dispatch(Limited, "run").id)
    execution = execution_of(row, token="t", attempt=1)
    assert execution.to_json()["limits"] == {"memory": 256 * MIB, "nice": 5, "output_max": 4096}
    assert type(execution)(**execution.to_json()) == execution


@pytest.mark.parametrize(
    ("option", "value"),
    [("memory", "much"), ("memory", 5), ("nice", -1), ("nice", "low"), ("output_max", 1), ("output_max", [])],
)
def test_a_limit_that_cannot_be_is_refused_before_anything_is_written(site, option, value):
    before = site.count()
    with site.app.app_context(), pytest.raises(InvalidParameters) as refused:
        run_background_job(Plain, "run", **{option: value})
    assert refused.value.path == option
    assert site.count() == before


@pytest.mark.parametrize(("setting", "value"), [("memory", "much"), ("nice", 40)])
def test_a_setting_that_cannot_be_is_refused(make_site, setting, value):
    with pytest.raises(ConfigurationError, match=f"BGJOBS_{setting.upper()} must be"):
        make_site(**{setting: value})

"""Every line of the log files, word by word, and the same words in ``job_logs`` and on the console."""

import json
import logging
import platform
import re
from datetime import UTC, datetime, timedelta

import pytest
from log_lines import LINE, messages, parsed

from bgjobs import CustomLogger, ExampleJob
from bgjobs import custom_logger as wording
from bgjobs.custom_logger import DETAILS_LIMIT, LogEntry
from bgjobs.redaction import RECORD_LIMIT
from bgjobs.runner.outcome import Execution


class Job:
    def work(self, number, password=None):
        if number == 0:
            raise ValueError("no such user")
        return number


JOB = "test_log_wording.Job::work"


def test_a_job_that_completes_leaves_five_lines_in_the_first_file_and_none_in_the_second(make_site):
    site = make_site(Job)
    handle = site.dispatch(Job, "work", {"number": 7, "password": "hunter2!"})
    row = site.row(handle.id)
    assert messages(site.log()) == [
        ("SUCCESS", JOB, "Background job initiated"),
        ("SUCCESS", JOB, f"Background job dispatched on {platform.system()} platform"),
        (
            "SUCCESS",
            JOB,
            f'{{"id":{handle.id},"class_name":"test_log_wording.Job","method_name":"work",'
            '"parameters":{"number":7,"password":"••••••"},"status":"pending","retry_count":0,'
            f'"scheduled_at":"{_before_the_run(site, handle.id):%Y-%m-%dT%H:%M:%S.%fZ}"}}',
        ),
        ("SUCCESS", JOB, "Background job started"),
        ("SUCCESS", JOB, "Background job completed processing"),
    ]
    assert site.errors_log() == ""
    assert row.status == "completed"


def _before_the_run(site, job_id):
    shown = json.loads(next(message for _, message in site.story(job_id) if message.startswith("{")))
    return datetime.fromisoformat(shown["scheduled_at"])


def test_a_job_that_fails_is_told_with_its_attempts_retries_and_traceback(make_site):
    site = make_site(Job)
    site.dispatch(Job, "work", [0], max_retries=1, retry_delay=2.5)
    assert [message for _, _, message in messages(site.log())[3:]] == [
        "Background job started",
        "Scheduled retry attempt 1 of 1 in 2.5 s",
        "Background job started",
    ]
    assert messages(site.log())[4][0] == "INFO"
    lines = parsed(site.errors_log())
    assert {line["type"] for line in lines} == {"FAILURE"}
    assert [line["message"] for line in lines if line["mark"] == "-"] == [
        "ValueError: no such user (attempt 1 of 2)",
        "ValueError: no such user (attempt 2 of 2)",
    ]
    details = [line["message"] for line in lines if line["mark"] != "-"]
    assert details.count("Traceback (most recent call last):") == 2
    assert details.count("ValueError: no such user") == 2
    assert '    raise ValueError("no such user")' in details


def test_the_traceback_begins_at_the_jobs_own_code(make_site):
    site = make_site(Job, ExampleJob)
    site.dispatch(Job, "work", [0], max_retries=0)
    site.dispatch(ExampleJob, "fail", max_retries=0)
    files = re.findall(r'File "([^"]+)"', site.errors_log())
    assert [file.rpartition("/")[2] for file in files] == ["test_log_wording.py", "example_job.py"]


def test_the_console_and_the_table_say_the_same_words(make_site, caplog):
    site = make_site(Job)
    with caplog.at_level(logging.INFO, "bgjobs"):
        handle = site.dispatch(Job, "work", [0], max_retries=1)
    of_files = {(kind.lower(), message) for kind, _, message in messages(site.log() + site.errors_log())}
    of_table = site.story(handle.id)
    assert set(of_table) <= of_files
    assert [kind for kind, _ in of_table] == [*["success"] * 4, "failure", "info", "success", "failure"]
    records = [record for record in caplog.records if record.name == "bgjobs"]
    of_console = [line for record in records for line in record.getMessage().split("\n")]
    assert sorted(of_console) == sorted((site.log() + site.errors_log()).splitlines())
    levels = {LINE.match(record.getMessage())["type"]: record.levelno for record in records}
    assert levels == {"SUCCESS": logging.INFO, "INFO": logging.INFO, "FAILURE": logging.ERROR}


def test_the_messages_of_the_story_are_stored_in_their_order(make_site):
    site = make_site(Job)
    handle = site.dispatch(Job, "work", [1])
    assert [message for _, message in site.story(handle.id)][3:] == [
        "Background job started",
        "Background job completed processing",
    ]
    assert [(record.type, record.message) for record in handle.logs()] == site.story(handle.id)


def test_a_pending_job_that_is_cancelled_says_so(make_site):
    site = make_site(Job, backend="local")
    handle = site.dispatch(Job, "work", [1]).cancel()
    assert site.story(handle.id)[-1] == ("info", "Background job cancelled")
    site.state.store.retry(handle.id)
    assert site.story(handle.id)[-1] == ("info", "Background job put back to pending by hand")


def execution(**changes):
    values = {
        "id": 12,
        "class_name": "app.jobs.Mail",
        "method_name": "send",
        "parameters": {},
        "retry_count": 0,
        "max_retries": 3,
        "retry_delay": 5.0,
        "timeout": None,
        "token": "t",
        "attempt": 1,
    }
    return Execution(**{**values, **changes})


WORDS = [
    (wording.started(execution()), "success", "Background job started"),
    (wording.completed(execution()), "success", "Background job completed processing"),
    (wording.failed(execution(), "KeyError: 'a'", 2, 4, None), "failure", "KeyError: 'a' (attempt 2 of 4)"),
    (wording.retry_scheduled(execution(), 1, 3, 5.0), "info", "Scheduled retry attempt 1 of 3 in 5 s"),
    (wording.retry_scheduled(execution(), 1, 3, 0.25), "info", "Scheduled retry attempt 1 of 3 in 0.25 s"),
    (wording.cancelled(execution()), "info", "Background job cancelled"),
    (
        wording.cancel_requested(execution(), 10.0),
        "info",
        "Background job asked to stop: SIGTERM now, SIGKILL if it still runs in 10 s",
    ),
    (wording.retried_by_hand(execution()), "info", "Background job put back to pending by hand"),
    (
        wording.released(execution()),
        "info",
        "Put back to pending before the job was done; that uses no retry",
    ),
]


@pytest.mark.parametrize(("record", "kind", "message"), WORDS)
def test_each_wording(record, kind, message):
    assert (record.type, record.job_id, record.message) == (kind, 12, message)
    assert messages(record.lines()) == [(kind.upper(), "app.jobs.Mail::send", message)]


def test_a_line_carries_the_time_of_its_record_in_utc():
    moment = datetime(2024, 12, 4, 14, 31, 53, 999999, tzinfo=UTC)
    line = LogEntry("success", 1, "a.B", "run", "x", created_at=moment).lines()
    assert line == "[2024-12-04 14:31:53] SUCCESS: a.B::run - x\n"
    assert abs(datetime.now(UTC) - wording.started(execution()).created_at) < timedelta(seconds=5)


def test_each_line_of_a_traceback_has_the_prefix():
    record = wording.failed(execution(), "E", 1, 4, "Traceback:\n  a\r\n\n  [2024-12-04 14:31:53] SUCCESS: x\n")
    head = f"[{record.created_at:%Y-%m-%d %H:%M:%S}] FAILURE: app.jobs.Mail::send"
    assert record.lines().split("\n") == [
        f"{head} - E (attempt 1 of 4)",
        f"{head} |   Traceback:",
        f"{head} |     a\\x0d",
        f"{head} |   ",
        f"{head} |     [2024-12-04 14:31:53] SUCCESS: x",
        "",
    ]


def test_a_record_is_capped_and_says_how_much_is_missing():
    record = wording.entry("info", execution(), "x" * 1_000_000)
    assert len(record.message) < RECORD_LIMIT + 50
    assert record.message.endswith(f"… ({1_000_000 - RECORD_LIMIT:,} more characters)")


def test_a_traceback_of_countless_lines_is_capped_with_both_its_ends():
    record = wording.failed(execution(), "E", 1, 1, "\n".join(map(str, range(64_000))))
    assert len(record.details) == DETAILS_LIMIT + 1
    assert (record.details[0], record.details[-1]) == ("0", "63999")
    assert f"{64_000 - DETAILS_LIMIT:,} lines left out" in record.details[DETAILS_LIMIT // 2]


def test_names_of_a_row_that_somebody_made_huge_are_capped():
    record = wording.started(execution(class_name="c" * 10**6, method_name="m" * 10**6))
    assert len(record.lines()) < 800


def test_the_logger_of_the_seeds_can_be_used_by_itself(tmp_path):
    logger = CustomLogger(str(tmp_path / "not" / "there" / "yet"))
    logger.success(execution(), "all well")
    logger.info(execution(), "by the way")
    logger.failure(execution(), "oh no", "Traceback:\n  here\n")
    assert messages((tmp_path / "not/there/yet/background_jobs.log").read_text()) == [
        ("SUCCESS", "app.jobs.Mail::send", "all well"),
        ("INFO", "app.jobs.Mail::send", "by the way"),
    ]
    assert messages((tmp_path / "not/there/yet/background_jobs_errors.log").read_text()) == [
        ("FAILURE", "app.jobs.Mail::send", "oh no"),
        ("FAILURE", "app.jobs.Mail::send", "Traceback:"),
        ("FAILURE", "app.jobs.Mail::send", "  here"),
    ]


def test_a_logger_that_is_not_asked_anything_creates_nothing(tmp_path):
    CustomLogger(str(tmp_path / "logs")).write([])
    assert list(tmp_path.iterdir()) == []


def test_the_console_may_be_silenced_without_touching_the_files(make_site, caplog):
    site = make_site(Job)
    with caplog.at_level(logging.CRITICAL, "bgjobs"):
        site.dispatch(Job, "work", [1])
    assert [record for record in caplog.records if record.name == "bgjobs"] == []
    assert len(messages(site.log())) == 5

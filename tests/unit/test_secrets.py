"""S10: what belongs to a secret key, or stands in a URL before the host, is in no output."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgjobs import CustomBackgroundJobRunner, current_job
from bgjobs.redaction import MASK, Redactor, mask_urls

CANARY = "c4n4ry-Zx9"

WORDS = """secret token api-key apikey api_key authorization cookie credential private
pass passwd password PASSWORD""".split()  # noqa: SIM905

PLACES = {
    "password": {"password": CANARY},
    "passwd": {"passwd": CANARY},
    "mixed case": {"PassWord": CANARY, "API_Key": CANARY},
    "part of a key": {"smtp_password_2": CANARY, "X-Authorization": CANARY, "sessioncookie": CANARY},
    "every word": dict.fromkeys(WORDS, CANARY),
    "nested": {"account": {"login": {"password": CANARY}}},
    "in a list": {"accounts": [{"token": CANARY}, {"token": CANARY}]},
    "a list under the key": {"tokens": [CANARY, [CANARY]]},
    "a dict under the key": {"credentials": {"user": CANARY, "deep": {"x": [CANARY]}}},
    "a number": {"secret": 4711081512345},
    "in a URL": {"dsn": f"postgres://shop:{CANARY}@db.example/shop"},
    "in a URL in a sentence": {"text": f"connect to https://u:{CANARY}@h:8080/p?q=1 now"},
    "in a URL with a slash": {"dsn": f"postgresql://shop:{CANARY}/x+y==@db/shop"},
    "in a URL with an at sign": {"dsn": f"amqp://shop:p@{CANARY}@db//"},
    "in a URL without a user": {"broker": f"redis://:{CANARY}@cache:6379/0"},
    "as the user of a URL": {"remote": f"https://{CANARY}@github.example/repo.git"},
    "two URLs": {"urls": f"redis://a:{CANARY}@h1,redis://b:{CANARY}@h2"},
    "quotes and backslashes": {"password": f"{CANARY}'\"\\x{CANARY}"},
    "line feeds": {"private_key": f"-----BEGIN-----\n{CANARY}\n{CANARY}x\n-----END-----"},
    "letters beyond ASCII": {"password": f"gehéim{CANARY}\u2028"},
}


class Careless:
    """Puts its parameters wherever a careless programmer might."""

    def complete(self, **parameters):
        return None

    def fail(self, **parameters):
        raise ValueError(f"cannot work with {parameters}")

    def fail_with_each(self, **parameters):
        raise ValueError(*[str(value) for value in _leaves(parameters)])

    def fail_in_a_chain(self, **parameters):
        try:
            raise KeyError(str(parameters))
        except KeyError as error:
            error.add_note(repr(parameters))
            raise RuntimeError(str(list(parameters.values()))) from error

    def say(self, **parameters):
        import json

        current_job.log(f"got {parameters}")
        current_job.log(json.dumps(parameters))
        current_job.progress(1, 2, f"got {parameters}")

    def exit(self, **parameters):
        raise SystemExit(str(parameters))


def _leaves(value):
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [leaf for item in value for leaf in _leaves(item)]
    return [value]


class AngryRunner(CustomBackgroundJobRunner):
    """Its retry logic fails and quotes the exception it was asked about."""

    def should_retry(self, job, exception):
        raise RuntimeError("the retry logic is broken")


@pytest.fixture
def site(make_site):
    return make_site(Careless)


def everything_shown(site, caplog, capfd):
    yield "success file", site.log()
    yield "errors file", site.errors_log()
    yield "console", "\n".join(record.getMessage() + (record.exc_text or "") for record in caplog.records)
    captured = capfd.readouterr()
    yield "output", captured.out + captured.err
    yield "job_logs", str(site.query("SELECT message FROM job_logs"))
    yield "error_message", str(site.query("SELECT error_message, progress_message FROM background_jobs"))
    yield "attempts", str(site.query("SELECT exception_type, exception_message, traceback FROM job_attempts"))


@pytest.mark.parametrize("where", PLACES)
def test_the_canary_is_nowhere(site, where, caplog, capfd):
    parameters = PLACES[where]
    with caplog.at_level(logging.DEBUG):
        for method in ("complete", "fail", "fail_with_each", "fail_in_a_chain", "say", "exit"):
            handle = site.dispatch(Careless, method, parameters, max_retries=1)
            assert CANARY not in str(handle.error_message)
            assert CANARY not in str([(record.type, record.message) for record in handle.logs()])
    canaries = [CANARY, "4711081512345"]
    for name, text in everything_shown(site, caplog, capfd):
        for canary in canaries:
            assert canary not in text, f"{canary} in {name}"
    assert MASK in site.log()


def test_a_broken_retry_logic_does_not_print_the_exception_it_was_asked_about(make_site, caplog, capfd):
    site = make_site(runner_class=type("R", (AngryRunner,), {"approved_classes": [Careless]}))
    with caplog.at_level(logging.DEBUG):
        handle = site.dispatch(Careless, "fail", {"password": CANARY}, max_retries=1)
    assert handle.status == "failed"
    formatter = logging.Formatter()
    console = "\n".join(formatter.format(record) for record in caplog.records)
    assert "retry logic of R failed" in console
    assert "RuntimeError" in console
    assert "in should_retry" in console
    assert CANARY not in console + "".join(capfd.readouterr())


def test_what_is_stored_for_the_job_itself_is_not_masked(site):
    handle = site.dispatch(Careless, "complete", {"password": CANARY})
    assert site.row(handle.id).parameters == {"password": CANARY}


def test_the_setting_replaces_the_pattern_of_the_keys(make_site):
    site = make_site(Careless, redact="iban")
    site.dispatch(Careless, "complete", {"IBAN": CANARY, "password": "visible-now"})
    assert CANARY not in site.log()
    assert "visible-now" in site.log()


def test_masking_leaves_the_rest_readable():
    shown = Redactor().parameters({"to": "a@example.org", "Token": "x", "list": [1, {"cookie": {}}], "n": None})
    assert shown == {"to": "a@example.org", "Token": MASK, "list": [1, {"cookie": MASK}], "n": None}


def test_masking_makes_a_copy():
    given = {"password": "x", "list": [{"token": "y"}]}
    Redactor().parameters(given)
    assert given == {"password": "x", "list": [{"token": "y"}]}


URLS = [
    ("https://example.org/path?mail=a@b.c", "https://example.org/path?mail=a@b.c"),
    ("http://host:8080/path?mail=a@b.c", "http://host:8080/path?mail=a@b.c"),
    ("http://host:8080", "http://host:8080"),
    ("mail me: a@b.c", "mail me: a@b.c"),
    ("no url: user:pass@host", "no url: user:pass@host"),
    ("postgres://u:p@host/db", f"postgres://{MASK}@host/db"),
    ("x postgres://u:p@host/db, redis://:q@h y", f"x postgres://{MASK}@host/db, redis://{MASK}@h y"),
    ("postgres://u:p/q@host/db", f"postgres://{MASK}@host/db"),
    ("postgres://u:1234@host", f"postgres://{MASK}@host"),
    ("git clone https://key@host/x", f"git clone https://{MASK}@host/x"),
    ('{"a":"http://h:80","b":"c@d"}', '{"a":"http://h:80","b":"c@d"}'),
    ("see http://h:80/x, mail a@b", "see http://h:80/x, mail a@b"),
]


@pytest.mark.parametrize(("text", "shown"), URLS)
def test_user_and_password_of_a_url_are_masked_and_other_addresses_are_not(text, shown):
    assert mask_urls(text) == shown


def test_a_hostile_text_does_not_make_the_search_for_urls_slow():
    import time

    started = time.perf_counter()
    for text in (
        "://a:" * 13_000,
        "://" + "a" * 64_000,
        "://a:b" + "@" * 64_000,
        "://:" + ":" * 64_000,
        "://a@" * 13_000,
    ):
        mask_urls(text)
    assert time.perf_counter() - started < 2


@given(secret=st.text(min_size=4), before=st.text(), after=st.text())
def test_a_secret_is_masked_wherever_it_stands_in_a_text(secret, before, after):
    redactor = Redactor()
    secrets = redactor.secrets({"password": secret})
    shown = redactor.text(f"{before}{secret}{after}", secrets)
    assert len(shown) <= len(before) + len(MASK) * (1 + len(before + after)) + len(after) + len(secret)
    assert shown == shown.replace(secret, MASK) or secret in MASK


def test_short_values_are_not_searched_for_in_texts_because_they_are_everywhere():
    assert Redactor().secrets({"token": "abc", "password": "42", "secret": True, "cookie": None}) == set()


def test_values_nested_beyond_any_reason_are_masked_instead_of_followed():
    deep = {"password": CANARY}
    for _ in range(5_000):
        deep = {"a": deep}
    redactor = Redactor()
    assert CANARY not in str(redactor.parameters(deep))
    redactor.secrets(deep)

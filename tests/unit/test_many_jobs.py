"""``run_background_jobs``: many calls in one transaction, all of them or none."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bgjobs import ExampleJob, run_background_jobs
from bgjobs.exceptions import ClassNotApproved, InvalidParameters, QueueFull


class Mail:
    def send(self, to, subject="Hello"):
        return to


@pytest.fixture(scope="module")
def site(make_site):
    return make_site(Mail, ExampleJob, backend="local")


def dispatch(site, calls, **options):
    with site.app.app_context():
        return run_background_jobs(calls, **options)


def test_the_handles_come_in_the_order_of_the_calls(site):
    handles = dispatch(
        site,
        [
            (Mail, "send", {"to": "ada"}),
            {"class_name": Mail, "method_name": "send", "parameters": ["bob"], "queue": "slow", "priority": -3},
            (ExampleJob, "run"),
            (Mail, "send", {"to": "eve"}, 2),
            {"class_name": "bgjobs.example_job.ExampleJob", "method_name": "run", "delay": timedelta(hours=1)},
        ],
    )
    rows = [site.row(handle.id) for handle in handles]
    assert [row.method_name for row in rows] == ["send", "send", "run", "send", "run"]
    assert [row.parameters for row in rows] == [{"to": "ada"}, ["bob"], {}, {"to": "eve"}, {}]
    assert [row.retry_count for row in rows] == [handle.retry_count for handle in handles] == [0, 0, 0, 2, 0]
    assert (rows[1].queue, rows[1].priority) == ("slow", -3)
    assert (rows[4].scheduled_at - rows[0].scheduled_at) > timedelta(minutes=59)
    assert {handle.status for handle in handles} == {"pending"}
    for handle in handles:
        assert [message for _, message in site.story(handle.id)][:1] == ["Background job initiated"]
        assert len(site.story(handle.id)) == 3


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (("os.system", "x"), ClassNotApproved),
        ((Mail, "send", {"nobody": 1}), InvalidParameters),
        ((Mail, "send", {"to": "x"}, 99), InvalidParameters),
        ((Mail,), InvalidParameters),
        ((Mail, "send", {"to": "x"}, 0, 5), InvalidParameters),
        ({"class_name": Mail, "method_name": "send", "parameters": {"to": 1}, "dealy": 3}, InvalidParameters),
        ({"class_name": Mail, "method_name": "send", "parameters": {"to": 1}, "delay": -3}, InvalidParameters),
        ({}, ClassNotApproved),
        ("Mail.send", InvalidParameters),
        (7, InvalidParameters),
        (None, InvalidParameters),
    ],
)
def test_one_that_is_refused_keeps_all_of_them_out(site, call, error):
    before = site.count()
    with pytest.raises(error) as refusal:
        dispatch(site, [(Mail, "send", {"to": "ada"}), call])
    assert refusal.value.__notes__ == ["This was calls[1]; nothing was dispatched."]
    assert site.count() == before


def test_no_calls_are_no_jobs(site):
    assert dispatch(site, []) == []
    assert dispatch(site, iter([])) == []


def test_a_session_holds_all_of_them_until_its_commit(site):
    before = site.count()
    with site.app.app_context():
        run_background_jobs([(ExampleJob, "run")] * 3, session=site.db.session)
        site.db.session.rollback()
        assert site.count() == before
        run_background_jobs([(ExampleJob, "run")] * 3, session=site.db.session)
        assert site.count() == before
        site.db.session.commit()
    assert site.count() == before + 3


@pytest.mark.parametrize(("pending", "coming", "fits"), [(0, 5, True), (0, 6, False), (4, 1, True), (4, 2, False)])
def test_as_many_as_the_limit_allows(make_site, pending, coming, fits):
    site = make_site(ExampleJob, backend="local", max_pending=5)
    dispatch(site, [(ExampleJob, "run")] * pending)
    if fits:
        assert len(dispatch(site, [(ExampleJob, "run")] * coming)) == coming
    else:
        with pytest.raises(QueueFull):
            dispatch(site, [(ExampleJob, "run")] * coming)
        assert site.count() == pending


def test_inline_runs_each_of_them(make_site):
    site = make_site(Mail)
    handles = dispatch(site, [(Mail, "send", {"to": name}) for name in "abc"])
    assert [site.row(handle.id).result for handle in handles] == ["a", "b", "c"]

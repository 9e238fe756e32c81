"""A retry with other parameters: who may, what the form holds, what is refused, and the new job."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import g
from pages import Element, parsed
from pressing import OURS, main_of, post, token_for
from sites import Site

from bgjobs import bulk, run_background_job

ENDED = {"status": "failed", "completed_at": datetime.now(UTC)}


class Mail:
    timeout = 99
    queue = "mail"

    def send(self, to: str, times: int = 1, password: str = "") -> None:
        """Send it.

        :param to: who gets it
        """

    def whole(self, params: dict[str, Any]) -> None: ...


MAIL = f"{Mail.__module__}.Mail"


@pytest.fixture
def make(make_site: Callable[..., Site]) -> Callable[..., Site]:
    return lambda **config: make_site(BGJOBS_APPROVED_CLASSES=[Mail], **config)


@pytest.fixture
def shop(make: Callable[..., Site]) -> Site:
    return make()


def ended_job(site: Site, method: str = "send", parameters: Any = None, **options: Any) -> int:
    with site.app.app_context():
        job_id = run_background_job(Mail, method, parameters or {"to": "ada"}, **options).id
    site.change(job_id, **ENDED)
    return job_id


def sent_as_shown(page: Element) -> dict[str, str]:
    """What a browser sends of the form when nothing is typed."""
    form = page.one("form")
    data = {str(item.attributes["name"]): item.attributes.get("value") or "" for item in form.all("input")}
    data.update({str(item.attributes["name"]): item.text.removeprefix("\n") for item in form.all("textarea")})
    for item in form.all("select"):
        chosen = [option for option in item.all("option") if "selected" in option.attributes]
        data[str(item.attributes["name"])] = (chosen or item.all("option"))[0].words
    return data


def send(site: Site, job_id: int, **typed: str) -> Any:
    """Open the form, type into it, and send it."""
    client = site.client()
    data = sent_as_shown(main_of(client, f"jobs/{job_id}/edit"))
    data.update({f"p.{name}" if name != "all" else "p.": text for name, text in typed.items()})
    return client.post(f"/dashboard/jobs/{job_id}/edit", data=data, headers=OURS)


def newest(site: Site) -> Any:
    with site.state.store.database.reading() as connection:
        (number,) = connection.exec_driver_sql("SELECT max(id) FROM background_jobs").one()
    return site.row(number)


def test_the_form_is_made_of_the_signature(shop: Site) -> None:
    page = main_of(shop.client(), f"jobs/{ended_job(shop)}/edit")
    assert [label.words for label in page.all("label")] == ["to", "times", "password"]
    to, times, password = (item for item in page.all("input") if item.attributes["type"] != "hidden")
    assert (to.attributes["value"], times.attributes["value"]) == ("ada", "")
    assert (password.attributes["type"], password.attributes["value"]) == ("password", "")
    assert "who gets it" in page.words
    assert "Left empty, it is the default: 1" in page.words
    assert page.one("p", class_="job-runs").words == f"{MAIL}::send"
    assert not [item for item in page.all("input") if "class" in (item.attributes["name"] or "")]


def test_a_new_job_is_dispatched_that_is_linked_to_the_old_one(shop: Site) -> None:
    options = {
        "priority": -3,
        "max_retries": 7,
        "retry_delay": [1, 2],
        "memory": "64M",
        "nice": 3,
        "queue": "night",
    }
    job_id = ended_job(shop, parameters={"to": "ada", "password": "hunter22"}, **options)
    shop.change(job_id, timeout=None)  # whatever the class says by now
    before = shop.row(job_id)
    response = send(shop, job_id, to="grace", times="2")
    row = newest(shop)
    assert (response.status_code, response.location) == (303, f"/dashboard/jobs/{row.id}")
    assert row.id != job_id
    assert row.parameters == {"to": "grace", "times": 2, "password": "hunter22"}
    kept = ("class_name", "method_name", "queue", "priority", "max_retries", "retry_delay", "timeout", "limits")
    assert {name: getattr(row, name) for name in kept} == {name: getattr(before, name) for name in kept}
    assert (row.status, row.retry_of, row.retry_count) == ("pending", job_id, 0)
    assert shop.row(job_id) == before


def test_both_jobs_tell_of_it_and_who_it_was(make: Callable[..., Site]) -> None:
    def access(request: Any) -> str:
        g.bgjobs_user = "ada\x1b"
        return "all"

    site = make(BGJOBS_DASHBOARD_ACCESS=access)
    job_id = ended_job(site)
    send(site, job_id, to="grace")
    made = newest(site).id
    by = "on the dashboard by ada\\x1b"
    assert site.messages(job_id)[-1] == ("info", f"Retried with other parameters, as job #{made}, {by}")
    assert site.messages(made)[-1] == (
        "info",
        f"A retry of job #{job_id} with other parameters, dispatched {by}",
    )


def test_the_new_job_says_that_it_is_one(shop: Site) -> None:
    job_id, client = ended_job(shop), shop.client()
    data = sent_as_shown(main_of(client, f"jobs/{job_id}/edit"))
    page = client.post(f"/dashboard/jobs/{job_id}/edit", data=data, headers=OURS, follow_redirects=True)
    words = parsed(page.text).one("div", id="answer").words
    assert words == f"Dispatched as job #{newest(shop).id}, a retry with other parameters."


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ({"times": "x"}, "Must be a whole number."),
        ({"times": "9" * 19}, "a whole number beyond 64 bits"),
        ({"to": "a\x00"}, "a text with a NUL or half a surrogate pair cannot be stored"),
        ({"to": "x" * 70_000}, "more than 64 KiB as JSON"),
    ],
)
def test_a_refusal_stands_beside_its_field_and_what_was_typed_stays(
    shop: Site, typed: dict[str, str], told: str
) -> None:
    job_id = ended_job(shop)
    count = newest(shop).id
    response = send(shop, job_id, **{"to": "typed-canary", "password": "typed-secret", **typed})
    assert response.status_code == 422
    assert told in parsed(response.text).one("main").words
    assert typed.get("to", "typed-canary") in response.text
    assert "typed-secret" not in response.text
    assert newest(shop).id == count
    if "times" in typed or len(typed["to"]) < 10:
        (field,) = (item for item in parsed(response.text).all("div", class_="edit-field") if told in item.words)
        assert field.all("input")[0].attributes["name"] == f"p.{next(iter(typed))}"
        assert field.all("input")[0].attributes["aria-invalid"] == "true"


@pytest.mark.parametrize(
    ("typed", "status"),
    [
        ('{"to": "grace", "token": "••••••"}', 303),
        ('{"to": "grace"}', 303),
        ('{"secret": "••••••"}', 422),
        ("[1, 2, 3]", 422),
        ('"text"', 422),
        ("null", 422),
        ("{", 422),
        ('{"x": NaN}', 422),
        ('{"x": "\\ud800"}', 422),
        ("[" * 5000 + "]" * 5000, 422),
    ],
)
def test_a_method_that_takes_the_dict_whole_has_one_editor(shop: Site, typed: str, status: int) -> None:
    job_id = ended_job(shop, "whole", {"to": "ada", "token": "hidden-canary"})
    page = shop.get(f"/dashboard/jobs/{job_id}/edit")
    assert "hidden-canary" not in page.text
    response = send(shop, job_id, all=typed)
    assert response.status_code == status
    assert "hidden-canary" not in response.text
    if status == 303:
        assert newest(shop).parameters in ({"to": "grace", "token": "hidden-canary"}, {"to": "grace"})
    else:
        assert newest(shop).id == job_id
        assert parsed(response.text).one("textarea").text.removeprefix("\n") == typed


def test_sent_twice_it_makes_one_job(shop: Site) -> None:
    job_id, client = ended_job(shop), shop.client()
    data = sent_as_shown(main_of(client, f"jobs/{job_id}/edit"))
    answers = [client.post(f"/dashboard/jobs/{job_id}/edit", data=data, headers=OURS) for _ in range(3)]
    assert {(answer.status_code, answer.location) for answer in answers} == {
        (303, f"/dashboard/jobs/{newest(shop).id}")
    }
    assert newest(shop).id == job_id + 1


def test_who_comes_second_with_other_parameters_is_told(shop: Site) -> None:
    job_id, client = ended_job(shop), shop.client()
    data = sent_as_shown(main_of(client, f"jobs/{job_id}/edit"))
    send(shop, job_id, to="grace")
    response = client.post(f"/dashboard/jobs/{job_id}/edit", data=data, headers=OURS)
    assert response.status_code == 422
    page = parsed(response.text).one("main")
    assert f"Job #{job_id + 1} was made of this one meanwhile." in page.words
    again = client.post(f"/dashboard/jobs/{job_id}/edit", data=sent_as_shown(page), headers=OURS)
    assert again.location == f"/dashboard/jobs/{job_id + 2}"


@pytest.mark.parametrize("status", ["pending", "running", "nonsense"])
def test_only_of_a_job_that_has_ended(shop: Site, status: str) -> None:
    job_id, client = ended_job(shop), shop.client()
    data = sent_as_shown(main_of(client, f"jobs/{job_id}/edit"))
    shop.change(job_id, status=status)
    assert client.get(f"/dashboard/jobs/{job_id}/edit").status_code == 409
    response = client.post(f"/dashboard/jobs/{job_id}/edit", data=data, headers=OURS)
    assert response.status_code == 409
    assert (
        f"Job #{job_id} is {status}, so it cannot be retried with other parameters." in parsed(response.text).words
    )
    assert newest(shop).id == job_id


def test_who_may_not_does_not_see_the_form_either(make: Callable[..., Site]) -> None:
    rights = {"edit", "cancel"}
    site = make(BGJOBS_DASHBOARD_ACCESS=lambda request: set(rights))
    job_id, client = ended_job(site), site.client()
    token = token_for(client, site)
    rights.discard("edit")
    count = newest(site).id
    assert client.get(f"/dashboard/jobs/{job_id}/edit").status_code == 403
    assert post(client, site, f"{job_id}/edit", token=token, data={"p.to": "x"}).status_code == 403
    rights.clear()
    rights.add("edit")
    assert client.get(f"/dashboard/jobs/{job_id}/edit").status_code == 200
    assert newest(site).id == count
    assert post(client, site, f"{job_id}/edit", token=token, data={"p.to": "x"}).status_code == 303


@pytest.mark.parametrize(
    "values",
    [
        {"class_name": "os.path"},
        {"class_name": "<img src=x>\x1b"},
        {"method_name": "__class__"},
        {"method_name": "gone"},
    ],
)
def test_what_is_not_approved_any_more_cannot_be_run_again(shop: Site, values: dict[str, str]) -> None:
    job_id, client = ended_job(shop), shop.client()
    shop.change(job_id, **values)
    for response in (client.get(f"/dashboard/jobs/{job_id}/edit"), post(client, shop, f"{job_id}/edit")):
        assert response.status_code == 409
        assert "cannot be run again as it is" in parsed(response.text).words
        assert not parsed(response.text).one("main").all("img")


def test_the_class_cannot_be_chosen(shop: Site) -> None:
    job_id, client = ended_job(shop), shop.client()
    data = {
        "p.to": "x",
        "class_name": "bgjobs.example_job.ExampleJob",
        "method_name": "whole",
        "queue": "q",
        "action": "x",
    }
    assert post(client, shop, f"{job_id}/edit", data=data).status_code == 303
    row = newest(shop)
    assert (row.class_name, row.method_name, row.queue, row.parameters) == (MAIL, "send", "mail", {"to": "x"})


@pytest.mark.parametrize(
    "parameters",
    ["no JSON", "[[[[", '"text"', "5", '{"gone": 1}', "[1,2,3,4,5]", "null", '{"a":' * 40 + "1" + "}" * 40],
)
def test_parameters_that_somebody_edited_can_be_put_right(shop: Site, parameters: str) -> None:
    job_id = ended_job(shop)
    shop.execute("UPDATE background_jobs SET parameters = :p WHERE id = :id", p=parameters, id=job_id)
    page = main_of(shop.client(), f"jobs/{job_id}/edit")
    if [label.words for label in page.all("label")] == ["to", "times", "password"]:
        assert send(shop, job_id, to="grace", times="2").status_code == 303
        assert newest(shop).parameters == {"to": "grace", "times": 2}
    else:
        assert send(shop, job_id, all='["grace"]').status_code == 303
        assert newest(shop).parameters == ["grace"]


@pytest.mark.parametrize("values", [{"queue": "a b"}, {"priority": "soon"}, {"max_retries": -5}, {"timeout": "x"}])
def test_an_option_that_somebody_edited_is_refused_in_words(shop: Site, values: dict[str, Any]) -> None:
    job_id = ended_job(shop)
    name, value = next(iter(values.items()))
    shop.execute(f"UPDATE background_jobs SET {name} = :v WHERE id = :id", v=value, id=job_id)
    response = send(shop, job_id, to="grace")
    assert response.status_code == 422
    assert name in parsed(response.text).one("div", class_="notice-error").words


def test_a_full_queue_is_told(make: Callable[..., Site]) -> None:
    site = make(BGJOBS_MAX_PENDING=1)
    job_id = ended_job(site)
    site.dispatch()
    response = send(site, job_id, to="grace")
    assert response.status_code == 422
    assert "BGJOBS_MAX_PENDING" in parsed(response.text).one("div", class_="notice-error").words
    assert "grace" in response.text


def test_it_runs_with_the_inline_backend(make: Callable[..., Site]) -> None:
    site = make(BGJOBS_BACKEND="inline")
    job_id = ended_job(site)
    assert send(site, job_id, to="grace").status_code == 303
    assert (newest(site).status, newest(site).retry_of) == ("completed", job_id)


def test_the_name_of_a_hostile_parameter_is_text(shop: Site) -> None:
    job_id = ended_job(shop)
    shop.change(job_id, parameters={"to": "a</textarea><script>x</script>\n", "<img src=x>\x1b": 1})
    page = main_of(shop.client(), f"jobs/{job_id}/edit")
    assert "<img src=x>\\x1b" in page.words
    assert not page.all("img") + page.all("script")
    assert page.one("textarea").text == "\na</textarea><script>x</script>\n"


def test_an_action_on_many_jobs_is_not_made_anew_with_other_jobs(shop: Site) -> None:
    """It would delete jobs for somebody who may only edit."""
    victim, client = ended_job(shop), shop.client()
    job_id = bulk.dispatch(shop.state, "retry", [999], None)
    shop.change(job_id, **ENDED)
    assert client.get(f"/dashboard/jobs/{job_id}/edit").status_code == 409
    data = {
        "p.action": "delete",
        "p.job_ids": f"[{victim}]",
        "p.": f'{{"action": "delete", "job_ids": [{victim}]}}',
    }
    assert post(client, shop, f"{job_id}/edit", data=data).status_code == 409
    assert shop.row(victim).status == "failed"

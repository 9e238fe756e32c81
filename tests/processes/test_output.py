"""What a job prints is caught at its descriptors, kept in a file an attempt, and capped."""

from __future__ import annotations

import os

from real_site import MakeSite, RealSite
from waiting import until

OUTPUT_MAX = 64 * 1024


def test_every_way_of_printing_is_caught(site: RealSite) -> None:
    row = site.run("Plain.say", {"words": "hello"})
    assert site.output(row.id).splitlines() == [b"hello printed", b"hello written", b"hello by a subprocess"]
    (attempt,) = site.attempts(row.id)
    assert attempt.output_path == f"{row.id}-1.log"
    path = os.path.join(site.state.folder.output, attempt.output_path)
    assert os.stat(path).st_mode & 0o777 == 0o600


def test_each_attempt_has_a_file_and_an_empty_one_does_not_stay(site: RealSite) -> None:
    row = site.run("Crash.by_signal", {"number": 9, "times": 2})
    assert [site.output(row.id, attempt) for attempt in (1, 2)] == [b"a last word\n"] * 2
    until(lambda: not os.path.exists(site.state.folder.output_file(row.id, 3)), 5)


def test_a_hundred_megabytes_are_capped_and_the_newest_stay(make_warm_site: MakeSite) -> None:
    site = make_warm_site(output_max=OUTPUT_MAX)
    row = site.run("Plain.print_much", {"megabytes": 100})
    assert row.status == "completed"
    until(lambda: len(site.output(row.id)) <= OUTPUT_MAX, 5)
    kept = site.output(row.id)
    assert kept.startswith(b"[older output was left out]\n")
    assert kept.endswith(b"the last line\n")
    assert site.run("Plain.nothing").status == "completed"


def test_a_job_that_goes_on_printing_is_capped_while_it_runs(make_warm_site: MakeSite) -> None:
    site = make_warm_site(output_max=OUTPUT_MAX)
    job = site.dispatch("Plain.print_until", {"gate": "enough"})
    site.until_noted(job, "printed")
    path = site.state.folder.output_file(job.id, 1)
    # Twice the limit is the room that it has, so that not every line is cut off one by one.
    until(lambda: os.path.getsize(path) <= 2 * OUTPUT_MAX, 10)
    site.open_gate("enough")
    assert site.wait(job)[0].status == "completed"

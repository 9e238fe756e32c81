"""Jobs that dispatch more jobs than they are (S29): no more processes for it, and an end where one is set."""

from __future__ import annotations

from real_site import MakeSite

PROCESSES, ROOM = 2, 12
# At work, waiting, and ending: what a supervisor keeps for so many slots, beside itself and the fork server.
MOST_PROCESSES = 4 * PROCESSES + 2


def test_a_job_that_dispatches_itself_twice_fills_the_queue_and_not_the_machine(make_warm_site: MakeSite) -> None:
    site = make_warm_site(processes=PROCESSES, max_pending=ROOM)
    most = 0

    def is_over() -> bool:
        nonlocal most
        most = max(most, len(site.processes()))
        counts = site.counts()
        return not counts.get("pending") and not counts.get("running")

    site.dispatch("Plain.multiply", {"generations": 6}, max_retries=0)
    site.until(is_over, seconds=60, what="all of them have ended")
    assert most <= MOST_PROCESSES
    counts = site.counts()
    # There would be 127 without a limit: the first generations go through, then most find no room any more.
    assert counts["failed"] > 0
    assert ROOM < sum(counts.values()) < 127
    refused = {
        error for (error,) in site.query("SELECT error_message FROM background_jobs WHERE status = 'failed'")
    }
    assert all(error.startswith("QueueFull: ") for error in refused)
    assert site.run("Plain.nothing").status == "completed"

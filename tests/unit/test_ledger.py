"""The supervisor's book: what is written of a job, and in which order."""

from dataclasses import dataclass, field

from bgjobs import ExampleJob, lookups
from bgjobs.processes.identity import own_identity
from bgjobs.runner.outcome import Outcome
from bgjobs.supervisor.ledger import Ledger
from bgjobs.supervisor.running import RunningJob


@dataclass(eq=False)
class Process:
    acknowledged: list = field(default_factory=list)

    def acknowledge(self, token):
        self.acknowledged.append(token)


def test_the_last_words_of_a_job_come_before_its_end(make_site):
    """A process says them and reports its outcome at once, so the supervisor hears both in one turn."""
    site = make_site(BACKEND="local", AUTOSTART=False)
    job_id = site.dispatch(ExampleJob, "slow").id
    store, identity, process = site.state.store, own_identity(), Process()
    with store.changing() as changes:
        (job,) = changes.claim([identity.columns()], backend="local")
    ledger = Ledger(store, site.state.folder, 1.0, 1024)
    ledger.running[job.token] = RunningJob(job, identity, process, None)
    ledger.heed(process, {"token": job.token, "progress": [9, 10, "nearly"]})
    ledger.heed(process, {"token": job.token, "progress": [10, 10, "done"]})
    ledger.heed(process, {"token": job.token, "log": "ten steps"})
    ledger.heed(process, {"token": job.token, "outcome": Outcome("completed").to_json()})
    ledger.write_and_claim([], look_for_requests=False)

    with store.database.reading() as connection:
        row = lookups.job_row(connection, job_id)
    assert (row.status, row.progress_done, row.progress_message) == ("completed", 10, "done")
    assert [message for _, message in site.story(job_id)][-2:] == [
        "ten steps",
        "Background job completed processing",
    ]
    assert process.acknowledged == [job.token]

"""The supervisor: a single-threaded loop that claims due jobs, hands them to processes and commits outcomes.

Each turn: hear what happened; write it, and claim new jobs, in one transaction; act on what was written.
One transaction a turn is where the throughput comes from.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import time
from collections.abc import Callable
from types import FrameType

from sqlalchemy.exc import SQLAlchemyError

from bgjobs import clock, clock_steps, log_search, lookups
from bgjobs.custom_logger import CustomLogger, console
from bgjobs.database import PATIENCE_OF_SUPERVISOR, Database
from bgjobs.exceptions import BackendUnavailable, DatabaseDamaged
from bgjobs.fail_points import ARMED, reach
from bgjobs.processes.identity import own_identity
from bgjobs.processes.pool import Pool
from bgjobs.processes.process import Process
from bgjobs.processes.server import Ahead
from bgjobs.processes.wakeup import Wakeup
from bgjobs.processes.watch import DeathWatch
from bgjobs.redaction import Redactor
from bgjobs.store import Store
from bgjobs.supervisor.config import SupervisorConfig
from bgjobs.supervisor.description import Description
from bgjobs.supervisor.doorbell import Doorbell
from bgjobs.supervisor.feed import Feed
from bgjobs.supervisor.history import History
from bgjobs.supervisor.ledger import Ledger
from bgjobs.supervisor.listener import Listener
from bgjobs.supervisor.lock import FileLock
from bgjobs.supervisor.retention import Caretaker
from bgjobs.supervisor.tenancy import Tenancy

# Seconds between looks at the database without a ring: a commit whose ring was lost waits no longer.
LOOK_INTERVAL = 1.0
SURVEY_INTERVAL = 5.0
TIDY_INTERVAL = 1.0
DEATH_LOOK_INTERVAL = 0.2
# What happens within so many seconds of a transaction goes into the next one together. A transaction costs about
# the same for one job as for ten; a job that comes while nothing is going on waits for none of this.
PACE = 0.005
# Processes that wait while nothing is to be done: enough to start a job at once, few enough to be cheap.
SPARES_WHEN_CALM = 2
CALM_AFTER = 2.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 1.0
COMPLAIN_AFTER = 5.0
_INDEX_BATCH = 2000
# Seconds for which nobody can start another supervisor after one that met a damaged database.
STANDSTILL = 10.0


class Supervisor:
    """Sees the jobs of one database through, from the claim to the outcome, until nothing is left to do."""

    def __init__(
        self,
        config: SupervisorConfig,
        lock: FileLock,
        *,
        on_listening: Callable[[], None] = lambda: None,
        ahead: Ahead | None = None,
    ) -> None:
        self._config = config
        self._lock = lock
        self._on_listening = on_listening
        self._folder = config.state_folder
        database = Database(config.database_url, patience=PATIENCE_OF_SUPERVISOR)
        self._database = database
        shown_url = database.url.render_as_string(hide_password=True)
        store = Store(database, CustomLogger(config.log_dir), Redactor(config.redact))
        self._ledger = Ledger(store, self._folder, config.kill_grace, config.output_max, config.backend)
        self._caretaker = Caretaker(store, self._folder, config.retention)
        self._history = History(database)
        self._selector = selectors.DefaultSelector()
        self._watch = DeathWatch(self._selector)
        self._pool = Pool(config.for_servers(shown_url), self._selector, self._watch, ahead)
        self._doorbell = Doorbell(self._folder.path)
        self._listener = Listener(database.url, self._selector, self._look_again)
        # With Celery, workers say which jobs are to be run; else we look for them.
        self._feed = Feed(self._folder.path, self._selector) if config.backend == "celery" else None
        own = own_identity()
        self._tenancy = Tenancy(config.lease, own)
        self._description = Description(config, self._pool, own, shown_url)
        self._clock = clock.ClockWatch()
        self._stop_asked_at: float | None = None
        self._stop_at_once = False
        self._left = False
        # What is to be done, and when, on the monotonic clock.
        self._may_be_due = True  # a claim may find something
        self._rung = True  # somebody may have asked to cancel something
        self._look_at = self._survey_at = self._tidy_at = self._last_activity = time.monotonic()
        self._written_at = 0.0
        self._last_claimed = 0
        self._pause = 0.0
        self._failed_at, self._told = 0.0, False
        self._suspicious = False  # something that is to be written may be what does not go in

    def run(self) -> int:
        """Work until idle for long enough or told to stop; the exit status."""
        self._catch_signals()
        if ARMED:
            reach("boot.before_listening")
        if self._feed is not None:
            self._feed.open()
        self._open_doorbell()
        self._on_listening()
        self._keep_idle()  # the application loads while we look at the database
        status = 0
        while not self._left:
            try:
                self._turn()
                self._pause, self._told = 0.0, False
            except DatabaseDamaged as error:
                console.error("%s The supervisor starts no more jobs and leaves.", error)
                self._left, status = True, 1
            except BackendUnavailable as error:
                self._complain(error)
                self._rest()
            # The edge of the loop: whatever went wrong with one job, the others are still to be seen to.
            except Exception:  # noqa: BLE001
                console.exception("The supervisor met an error and goes on.")
                self._suspicious = True
                self._survey_at = time.monotonic()  # something may stand in the database that we know nothing of
                self._rest()
        if self._feed is not None:
            self._feed.close()
        self._pool.close()
        self._listener.close()
        if not status:
            self._give_up_lease()
        self._database.dispose()  # now the file can be replaced
        if status:
            self._stand_still()
        with contextlib.suppress(OSError):
            os.unlink(self._folder.status)
        if ARMED:
            reach("shutdown.before_release")
        self._lock.release()
        return status

    # -- a turn --------------------------------------------------------------------------------------

    def _turn(self) -> None:
        self._hear()
        self._pool.look_for_new_code()
        self._follow_clock()
        self._ledger.climb_ladders()
        self._renew_lease_if_due()
        self._take_over_if_due()
        self._look_if_due()
        if self._ledger.running:
            self._ledger.take_samples()
        self._write_and_claim()
        if self._stop_asked_at is not None:
            self._stop()
            return
        self._keep_idle()
        self._tidy_if_due()
        self._leave_if_idle()

    def _hear(self) -> None:
        """Wait for something to happen, and take in what did."""
        time.sleep(max(0.0, self._written_at + PACE - time.monotonic()))
        for key, _ in self._selector.select(self._patience()):
            key.data()
        if self._watch.must_look:
            self._watch.look()
        said, self._pool.said = self._pool.said, []
        ended, self._pool.ended = self._pool.ended, []
        for process, message in said:
            self._ledger.heed(process, message)
        for end in ended:
            self._ledger.note_end(end)

    def _follow_clock(self) -> None:
        """Nobody waits longer, or not at all, because somebody set the clock."""
        step = self._clock.step()
        if step is None:
            return
        with self._database.writing() as connection:
            clock_steps.follow(connection, step, own_identity().host)
        self._clock.followed(step)
        console.warning("The clock was set by %+.1f s. Retries wait as long as before.", step.by.total_seconds())
        self._may_be_due = True

    def _renew_lease_if_due(self) -> None:
        """Before anything is claimed or judged."""
        if self._tenancy.renew_in:
            return
        with self._database.writing() as connection:
            held = self._tenancy.renew(connection, self._description.for_others())
        if not held:
            self._survey_at = time.monotonic()  # others may have recovered what runs here

    def _take_over_if_due(self) -> None:
        if time.monotonic() >= self._survey_at:
            with self._database.reading() as connection:
                self._ledger.take_over(connection, self._watch, self._pool.identities, self._tenancy)
            self._survey_at = time.monotonic() + min(SURVEY_INTERVAL, self._config.lease / 3)

    def _look_if_due(self) -> None:
        """Look by ourselves: at the time of the next job, and because a ring can be lost."""
        if time.monotonic() < self._look_at:
            return
        if self._feed is not None:
            self._rung, self._look_at = True, time.monotonic() + LOOK_INTERVAL
            return
        with self._database.reading() as connection:
            due = lookups.next_due(connection)
            self._rung = self._rung or bool(self._ledger.running)
        seconds = LOOK_INTERVAL if due is None else (due - clock.now()).total_seconds()
        self._may_be_due = self._may_be_due or seconds <= 0
        self._look_at = time.monotonic() + (min(LOOK_INTERVAL, seconds) if seconds > 0 else LOOK_INTERVAL)

    def _write_and_claim(self) -> None:
        if self._feed is not None:
            self._may_be_due = self._feed.has_new
        seats = self._seats() if self._may_be_due and self._stop_asked_at is None else []
        fed = None if self._feed is None else self._feed.first(len(seats))
        seats = seats if fed is None else seats[: len(fed)]
        if not (seats or self._ledger.has_unwritten or (self._rung and self._ledger.running)):
            self._rung = False
            return
        if self._suspicious:
            self._ledger.write_one_by_one()
            self._suspicious = False
        wrote = self._ledger.has_unwritten
        claimed = self._ledger.write_and_claim(seats, look_for_requests=self._rung, fed=fed)
        if ARMED and claimed:
            reach("claim.after_commit")
        self._ledger.begin(claimed, seats, self._pool)
        self._rung = False
        self._written_at = time.monotonic()
        self._last_claimed = len(claimed)
        if wrote or claimed:
            self._last_activity = self._written_at
        if self._feed is not None and fed is not None:
            self._feed.tried(fed)
            self._feed.answer(self._ledger.running.keys())
        elif len(claimed) < len(seats):  # nothing more is due; when will the next be?
            self._may_be_due = False
            self._look_at = time.monotonic()
        elif self._ledger.put_back:  # for a retry nobody rings
            self._look_at = time.monotonic()

    def _tidy_if_due(self) -> None:
        now = time.monotonic()
        if now < self._tidy_at:
            return
        self._tidy_at = now + TIDY_INTERVAL
        self._listener.keep_up()
        self._pool.check_deadlines()
        self._ledger.trim_outputs()
        if self._ledger.running:
            self._ledger.out_of_memory.look()
        self._description.processes = self._processes
        self._description.write()
        if not self._is_busy:
            self._index_logs()
        self._caretaker.work(is_busy=self._is_busy)
        self._history.work(is_busy=self._is_busy)

    def _leave_if_idle(self) -> None:
        """Leave when nothing was to be done for long enough.

        The doorbell goes first: who rings after that finds nobody and starts a new supervisor, and who
        rang before has committed before, so the last look sees it.
        """
        if time.monotonic() < self._idle_at:
            return
        self._close_doorbell()
        try:
            with self._database.reading() as connection:
                found = self._feed is None and lookups.has_pending(connection)
            if ARMED:
                reach("idle.before_unlock")
            self._left = not found
        finally:
            if not self._left:
                self._open_doorbell()
                self._last_activity = time.monotonic()
                self._may_be_due = True
        while self._left and self._index_logs():
            pass

    # -- stopping ------------------------------------------------------------------------------------

    def _catch_signals(self) -> None:
        wakeup = Wakeup()
        self._selector.register(wakeup, selectors.EVENT_READ, wakeup.drain)
        stop_signals = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
        for number in stop_signals:
            signal.signal(number, self._ask_to_stop)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        # A fork server has them blocked, and one that starts us hands that on.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, stop_signals)

    def _ask_to_stop(self, number: int, frame: FrameType | None) -> None:
        self._stop_at_once = self._stop_at_once or number == signal.SIGQUIT
        if self._stop_asked_at is None:
            self._stop_asked_at = time.monotonic()
            self._ledger.stopping = True

    def _stop(self) -> None:
        """Claim nothing more, let running jobs finish for the grace period, then put them back."""
        assert self._stop_asked_at is not None
        if self._doorbell.is_open:
            self._close_doorbell()
            if self._feed is not None:
                self._feed.close()
            self._pool.close()
        if not self._ledger.running:
            self._left = True
        elif self._stop_at_once or time.monotonic() >= self._stop_asked_at + self._config.kill_grace:
            self._ledger.release_all()
            self._left = True

    def _complain(self, error: BackendUnavailable) -> None:
        """Once, and not of a database that is only busy for a moment."""
        if self._pause == 0.0:
            self._failed_at = time.monotonic()
        if not self._told and time.monotonic() >= self._failed_at + COMPLAIN_AFTER:
            self._told = True
            console.warning("%s The supervisor tries again until it answers.", error)

    def _rest(self) -> None:
        """Before the next try; a supervisor that shall stop does not wait for a database for ever, and no job runs
        longer than it may because of it."""
        self._pause = min(self._pause * 2 or _FIRST_PAUSE, _LONGEST_PAUSE)
        self._ledger.climb_ladders()
        time.sleep(self._pause)
        if self._stop_asked_at is not None:
            self._left = time.monotonic() >= self._stop_asked_at + self._config.kill_grace

    def _give_up_lease(self) -> None:
        """Nothing runs here any more; other hosts show nobody here."""
        with contextlib.suppress(BackendUnavailable, SQLAlchemyError), self._database.writing() as connection:
            self._tenancy.say_farewell(connection)

    def _stand_still(self) -> None:
        """Go on answering the doorbell for a while: whoever rings starts nobody, who would meet the same."""
        until = time.monotonic() + STANDSTILL
        while self._stop_asked_at is None and (left := until - time.monotonic()) > 0:
            for key, _ in self._selector.select(left):
                key.data()

    # -- small steps ---------------------------------------------------------------------------------

    def _seats(self) -> list[Process]:
        """The processes that are given the next jobs, one for each."""
        if self._config.jobs_per_process == 1:
            return self._pool.idle[: self._free]
        return self._ledger.seats(self._pool.takers, self._free)

    @property
    def _free(self) -> int:
        return max(0, self._processes - self._ledger.working)

    @property
    def _processes(self) -> int:
        """How many jobs may be run at once: with Celery, as many as its workers on this host say."""
        return (self._feed.slots if self._feed is not None else 0) or self._config.processes

    @property
    def _idle_at(self) -> float:
        """When there will be nothing to stay for. While jobs run on other hosts there is: somebody has to notice
        should such a host be gone. And a worker that is there will have jobs to hand over."""
        ledger, timeout = self._ledger, self._config.idle_timeout
        if not timeout or ledger.running or ledger.has_unwritten or ledger.runs_elsewhere:
            return float("inf")
        if self._feed is not None and self._feed.is_attended:
            return float("inf")
        return self._last_activity + timeout

    @property
    def _is_busy(self) -> bool:
        return bool(self._ledger.running) or time.monotonic() < self._last_activity + CALM_AFTER

    def _keep_idle(self) -> None:
        """Have as many processes waiting as will be wanted until others can be started: those for free slots,
        and twice what the last transaction took, because while that many are used up as many are started."""
        most = 2 * self._processes
        used_up = 2 * self._last_claimed if self._config.jobs_per_process == 1 else 0
        wanted = min(max(SPARES_WHEN_CALM, self._free, used_up), most)
        if self._is_busy or self._may_be_due:
            self._pool.keep_idle(wanted, most)
        else:
            calm = min(SPARES_WHEN_CALM, self._processes)
            self._pool.keep_idle(calm, calm)

    def _patience(self) -> float:
        """Seconds until something has to be done by itself."""
        if self._stop_asked_at is not None and not self._ledger.running:
            return 0.0
        moments = [self._look_at, self._tidy_at, self._survey_at]
        moments.append(self._idle_at)
        if self._watch.must_look:
            moments.append(time.monotonic() + DEATH_LOOK_INTERVAL)
        if self._stop_asked_at is not None:
            moments = [self._stop_asked_at + self._config.kill_grace]
        moments.append(time.monotonic() + self._tenancy.renew_in)
        step = self._ledger.next_step_at()
        if step is not None:
            moments.append(step)
        return max(0.0, min(moments) - time.monotonic())

    def _open_doorbell(self) -> None:
        self._doorbell.open()
        self._selector.register(self._doorbell, selectors.EVENT_READ, self._answer_doorbell)

    def _answer_doorbell(self) -> None:
        self._doorbell.silence()
        self._look_again()

    def _look_again(self) -> None:
        """Somebody may have committed something for us."""
        self._rung = self._may_be_due = True

    def _close_doorbell(self) -> None:
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(self._doorbell)
        self._doorbell.close()

    def _index_logs(self) -> int:
        with self._database.writing() as connection:
            return log_search.index_batch(connection, _INDEX_BATCH) if log_search.is_available(connection) else 0

"""S13, F14, F27: the log files among many writers, rotation, deletion and names that stand for something else."""

import logging
import multiprocessing
import os
import re
import resource
import stat
import sys
import threading
import time
from pathlib import Path

import pytest
from log_lines import parsed, records

from bgjobs import CustomLogger
from bgjobs.custom_logger import ERRORS_FILE, SUCCESS_FILE

PROCESSES = 8
LINES = int(os.environ.get("BGJOBS_LINES", "2000"))  # 10,000 in ``make faults``


class Named:
    id, class_name, method_name = 1, "app.Job", "run"


class Job:
    def run(self, fail=False):
        if fail:
            raise ValueError("no")


def write_lines(folder, writer, together):
    logger = CustomLogger(folder)
    together.wait()
    for number in range(LINES):
        logger.info(Named, f"writer {writer} line {number} {'x' * (number % 300)}.")


def write_from_many_processes(folder, ready):
    """Runs in a process of its own: one import, and eight forks of that."""
    context = multiprocessing.get_context("fork")
    together = context.Barrier(PROCESSES)
    processes = [
        context.Process(target=write_lines, args=(folder, writer, together)) for writer in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    ready.set()
    for process in processes:
        process.join()
    sys.exit(any(process.exitcode for process in processes))


def expected():
    return {(writer, number) for writer in range(PROCESSES) for number in range(LINES)}


def found(texts):
    """Writer and number of each line; fails for a line that is torn or there twice."""
    lines = []
    for text in texts:
        for line in parsed(text):
            whole = re.fullmatch(r"writer (\d+) line (\d+) (x*)\.", line["message"])
            assert whole, line.string
            assert len(whole[3]) == int(whole[2]) % 300
            lines.append((int(whole[1]), int(whole[2])))
    assert len(set(lines)) == len(lines)
    return set(lines)


@pytest.fixture
def writers(tmp_path):
    """The parent of eight processes that write into one folder at the same time."""
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    parent = context.Process(target=write_from_many_processes, args=(str(tmp_path), ready))
    parent.start()
    assert ready.wait(60)
    yield parent
    parent.join(60)
    assert parent.exitcode == 0


def test_many_processes_lose_no_line_and_tear_none_while_the_file_is_rotated_by_renaming(tmp_path, writers):
    turned, file = 0, tmp_path / SUCCESS_FILE
    while writers.is_alive():
        if file.exists() and file.stat().st_size > 10_000:
            turned += 1
            file.rename(tmp_path / f"{SUCCESS_FILE}.{turned}")
    assert turned >= 5
    assert found([path.read_text() for path in tmp_path.iterdir()]) == expected()


def test_many_processes_tear_no_line_while_the_file_is_deleted(tmp_path, writers):
    deleted, file = 0, tmp_path / SUCCESS_FILE
    longest = 0.0
    while writers.is_alive():
        if file.exists() and file.stat().st_size > 10_000:
            deleted += 1
            os.link(file, tmp_path / f"aside.{deleted}")  # so that we can see what was in it at the end
            file.unlink()
            longest = max(longest, seconds_until_it_is_there(file, writers))
    assert deleted >= 5
    assert longest <= 1.0
    assert found([path.read_text() for path in tmp_path.iterdir()]) == expected()


def seconds_until_it_is_there(file, writers):
    began = time.monotonic()
    while not file.exists() and writers.is_alive():
        time.sleep(0.0005)
    return time.monotonic() - began if file.exists() else 0.0  # nobody writes any more, so nobody makes it


def test_many_processes_tear_no_line_while_the_file_is_truncated(tmp_path, writers):
    """What was in it is gone, by the will of whoever truncated it; what is written after that is all there."""
    truncated, file = 0, tmp_path / SUCCESS_FILE
    while writers.is_alive():
        if file.exists() and file.stat().st_size > 10_000:
            truncated += 1
            os.truncate(file, 0)
            time.sleep(0.0005)
    assert truncated >= 5
    rest = found([file.read_text()])
    for writer in range(PROCESSES):
        numbers = [number for by, number in rest if by == writer]
        assert sorted(numbers) == list(range(LINES - len(numbers), LINES))


def test_a_file_that_is_truncated_in_place_goes_on_at_its_beginning(tmp_path):
    logger, file = CustomLogger(str(tmp_path)), tmp_path / SUCCESS_FILE
    logger.info(Named, "before")
    os.truncate(file, 0)
    logger.info(Named, "after")
    assert records(file.read_text()) == [("info", "after")]


def test_the_next_record_after_a_rotation_is_in_the_new_file(tmp_path):
    logger, file = CustomLogger(str(tmp_path)), tmp_path / SUCCESS_FILE
    logger.info(Named, "old")
    file.rename(tmp_path / "rotated")
    logger.info(Named, "new")
    assert records(file.read_text()) == [("info", "new")]
    assert records((tmp_path / "rotated").read_text()) == [("info", "old")]


def test_the_folder_may_be_removed_at_any_time(tmp_path):
    logger, folder = CustomLogger(str(tmp_path / "logs")), tmp_path / "logs"
    logger.info(Named, "one")
    (folder / SUCCESS_FILE).unlink()
    folder.rmdir()
    logger.info(Named, "two")
    assert records((folder / SUCCESS_FILE).read_text()) == [("info", "two")]


def test_records_of_one_change_reach_each_file_in_one_write(tmp_path, monkeypatch):
    from bgjobs import custom_logger as wording

    written = []
    real = os.write
    monkeypatch.setattr(
        os, "write", lambda descriptor, data: (written.append(bytes(data)), real(descriptor, data))[1]
    )
    entries = [wording.entry("success", Named, f"record {number}") for number in range(500)]
    failures = [wording.failed(Named, "E", 1, 4, "a\nb"), wording.failed(Named, "F", 2, 4, None)]
    CustomLogger(str(tmp_path)).write([*entries, *failures, wording.entry("info", Named, "the last")])
    assert [data.count(b"\n") for data in written] == [501, 4]


def test_threads_may_log_while_the_file_is_rotated_and_no_other_file_gets_a_line(tmp_path):
    logger, file = CustomLogger(str(tmp_path / "logs")), tmp_path / "logs" / SUCCESS_FILE
    stop, bystanders = threading.Event(), []

    def open_and_close_files():
        number = 0
        while not stop.is_set():
            path = tmp_path / f"bystander.{number % 50}"
            with path.open("ab") as bystander:
                bystander.flush()
            bystanders.append(path)
            number += 1

    def log(writer):
        for number in range(300):
            logger.info(Named, f"writer {writer} line {number} {'x' * (number % 300)}.")

    threads = [threading.Thread(target=log, args=[writer]) for writer in range(6)]
    other = threading.Thread(target=open_and_close_files)
    other.start()
    for thread in threads:
        thread.start()
    turned = 0
    while any(thread.is_alive() for thread in threads):
        if file.exists():
            turned += 1
            file.rename(tmp_path / "logs" / f"old.{turned}")
    for thread in threads:
        thread.join()
    stop.set()
    other.join()
    texts = [path.read_text() for path in (tmp_path / "logs").iterdir()]
    assert found(texts) == {(writer, number) for writer in range(6) for number in range(300)}
    assert {path.stat().st_size for path in set(bystanders)} == {0}


@pytest.fixture
def site(make_site):
    return make_site(Job)


def put_in_place_of(site, kind, name):
    """What an attacker might leave where the log file will be; returns what must not change."""
    path = site.folder / "logs" / name
    path.parent.mkdir(exist_ok=True)
    target = site.folder / "target"
    match kind:
        case "symlink to a file":
            target.write_text("export PATH\n")
            path.symlink_to(target)
        case "symlink to nothing":
            path.symlink_to(target)
        case "symlink to a device":
            path.symlink_to("/dev/null")
        case "FIFO":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
    return target


@pytest.mark.parametrize(
    "kind", ["symlink to a file", "symlink to nothing", "symlink to a device", "FIFO", "folder"]
)
def test_what_is_no_regular_file_is_not_written_and_the_job_does_not_notice(site, kind, caplog):
    targets = [put_in_place_of(site, kind, name) for name in (SUCCESS_FILE,)]
    put = [site.folder / "logs" / SUCCESS_FILE]
    modes = [os.lstat(path).st_mode for path in put]
    with caplog.at_level(logging.WARNING, "bgjobs"):
        good, bad = site.dispatch(Job, "run"), site.dispatch(Job, "run", [True])
    assert (good.status, bad.status) == ("completed", "failed")
    assert len(site.story(good.id)) == 5
    assert [target.read_text() if target.exists() else None for target in targets] == [
        "export PATH\n" if kind == "symlink to a file" else None
    ]
    assert [os.lstat(path).st_mode for path in put] == modes
    assert len(parsed(site.errors_log())) > 0  # the other file is written all the same
    complaints = [record.getMessage() for record in caplog.records if "cannot write" in record.getMessage()]
    assert len(complaints) == 1  # once, not for each record
    assert SUCCESS_FILE in complaints[0]


def test_somebody_who_reads_from_a_fifo_in_place_of_the_file_gets_nothing(site):
    put_in_place_of(site, "FIFO", SUCCESS_FILE)
    reader = os.open(site.folder / "logs" / SUCCESS_FILE, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert site.dispatch(Job, "run").status == "completed"
        assert os.read(reader, 100) == b""
    finally:
        os.close(reader)


def test_after_the_obstacle_is_gone_the_file_is_written_again_and_a_new_one_is_told_again(site, caplog):
    file = site.folder / "logs" / ERRORS_FILE
    with caplog.at_level(logging.WARNING, "bgjobs"):
        for _ in range(2):
            put_in_place_of(site, "FIFO", ERRORS_FILE)
            site.dispatch(Job, "run", [True], max_retries=0)
            file.unlink()
            site.dispatch(Job, "run", [True], max_retries=0)
            assert len(parsed(file.read_text())) > 0
            file.unlink()
    assert len([record for record in caplog.records if "cannot write" in record.getMessage()]) == 2


def test_a_folder_that_cannot_be_made_never_fails_a_job(site, caplog):
    (site.folder / "logs").write_text("a file where the folder should be")
    with caplog.at_level(logging.WARNING, "bgjobs"):
        handle = site.dispatch(Job, "run")
    assert handle.status == "completed"
    assert "cannot write" in caplog.text


def test_a_full_disk_is_told_and_raises_nothing(tmp_path, caplog):
    logger = CustomLogger(str(tmp_path))
    logger.info(Named, "fits")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, ((tmp_path / SUCCESS_FILE).stat().st_size + 10, limits[1]))
    try:
        with caplog.at_level(logging.WARNING, "bgjobs"):
            logger.info(Named, "too long for what is left")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "cannot write" in caplog.text


def test_a_new_file_is_not_for_everybody(site):
    os.umask(before := os.umask(0))
    os.umask(0)
    try:
        site.dispatch(Job, "run", [True])
    finally:
        os.umask(before)
    for name in (SUCCESS_FILE, ERRORS_FILE):
        assert stat.S_IMODE((site.folder / "logs" / name).stat().st_mode) == 0o640


def test_the_file_names_have_nothing_to_do_with_a_job(site):
    for index in range(3):
        site.dispatch(Job, "run", [bool(index)])
    assert sorted(path.name for path in (site.folder / "logs").iterdir()) == [SUCCESS_FILE, ERRORS_FILE]


def test_the_folder_may_be_a_link_because_deployments_share_it(make_site, tmp_path):
    (tmp_path / "shared").mkdir()
    (tmp_path / "logs").symlink_to(tmp_path / "shared")
    site = make_site(Job, log_dir=str(tmp_path / "logs"))
    site.dispatch(Job, "run")
    assert len(parsed((tmp_path / "shared" / SUCCESS_FILE).read_text())) == 5


def test_no_descriptor_is_left_open(site):
    site.dispatch(Job, "run", [True])
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        site.dispatch(Job, "run", [True], max_retries=0)
    assert len(os.listdir("/proc/self/fd")) == before
    assert not any("background_jobs" in os.readlink(f"/proc/self/fd/{fd}") for fd in _descriptors())


def _descriptors():
    return [name for name in os.listdir("/proc/self/fd") if Path(f"/proc/self/fd/{name}").is_symlink()]

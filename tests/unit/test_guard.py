"""The guard of an owner that is a child process of the test; its cleanup writes a file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from medusa.guard import Guard
from tests.waiting import PATIENCE, wait_until

ROOT = Path(__file__).resolve().parents[2]

OWNER = """
import os, sys, time
sys.path.insert(0, sys.argv[1])
from medusa.guard import Guard
def cleanup(lines):
    with open(sys.argv[2] + ".part", "w", errors="surrogateescape") as file:
        print(os.getcwd(), os.getsid(0) == os.getpid(), sorted(os.listdir("/proc/self/fd")), *lines, sep="|", file=file)
    os.rename(sys.argv[2] + ".part", sys.argv[2])
extra = os.open("/dev/zero", os.O_RDONLY)
guard = Guard.start(cleanup, keep_fds=[extra])
guard.record("one")
guard.record("tw\\udcff")
print(guard.pid, flush=True)
"""


def owner(tmp_path: Path, then: str) -> tuple[subprocess.Popen[bytes], int, Path]:
    """(an owner that runs `then` after two lines, its guard's pid, the file that its cleanup writes)."""
    report = tmp_path / "report"
    command = [sys.executable, "-I", "-S", "-c", OWNER + then, str(ROOT), str(report)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, bufsize=0)  # communicate() would not see buffered bytes
    assert process.stdout is not None
    return process, int(process.stdout.readline()), report


def test_cleanup_runs_when_the_owner_is_killed(tmp_path: Path) -> None:
    process, pid, report = owner(tmp_path, "time.sleep(1000)")
    for name in ("INT", "HUP", "TERM", "QUIT", "TSTP", "USR1", "USR2", "XCPU"):
        os.kill(pid, signal.Signals["SIG" + name])
    process.kill()
    # This ends at once, as the guard does not hold the owner's stdout open.
    process.communicate(timeout=PATIENCE)
    wait_until(report.exists, "the cleanup")
    place, own_session, fds, *lines = report.read_text(errors="surrogateescape").strip().split("|")
    assert (place, own_session) == ("/", "True")
    # 0-2, the kept descriptor, the pipe, the report, the listing itself
    assert len(fds.split(",")) == 7
    assert lines == ["one", "tw\udcff"]
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), "the guard's own end")


def test_cleanup_runs_when_the_owner_ends_without_done(tmp_path: Path) -> None:
    process, _, report = owner(tmp_path, "os._exit(0)")
    process.communicate(timeout=PATIENCE)
    wait_until(report.exists, "the cleanup")


def test_done_means_no_cleanup_and_no_zombie(tmp_path: Path) -> None:
    process, pid, report = owner(tmp_path, "guard.done(); guard.done(); print(os.path.exists('/proc/%d' % guard.pid))")
    out, _ = process.communicate(timeout=PATIENCE)
    assert out == b"False\n"
    assert not Path(f"/proc/{pid}").exists()
    assert not report.exists()


def test_a_line_that_says_done_is_only_a_line(tmp_path: Path) -> None:
    process, _, report = owner(tmp_path, "guard.record('done'); guard.record('not yet'); os._exit(0)")
    process.communicate(timeout=PATIENCE)
    wait_until(report.exists, "the cleanup")
    assert report.read_text(errors="surrogateescape").strip().endswith("|done|not yet")


def test_programs_started_by_the_owner_do_not_keep_it_alive(tmp_path: Path) -> None:
    then = "import subprocess; p = subprocess.Popen(['sleep', '1000'], close_fds=False)\n"
    then += "print(p.pid, flush=True); time.sleep(1000)"
    process, _, report = owner(tmp_path, then)
    assert process.stdout is not None
    sleeper = int(process.stdout.readline())
    try:
        process.kill()
        wait_until(report.exists, "the cleanup")
    finally:
        os.kill(sleeper, signal.SIGKILL)
    process.communicate(timeout=PATIENCE)


def test_a_line_for_a_helper_that_was_killed_is_lost() -> None:
    guard = Guard.start(lambda lines: None)
    os.kill(guard.pid, signal.SIGKILL)
    os.waitpid(guard.pid, 0)
    guard.record("hello?")
    guard.done()


def test_one_line_at_a_time() -> None:
    guard = Guard.start(lambda lines: None)
    with pytest.raises(ValueError, match="one line"):
        guard.record("a\nb")
    guard.done()


def test_signal_mask_of_the_owner_is_untouched() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    guard = Guard.start(lambda lines: None)
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before
    guard.done()


def test_the_helper_has_a_name_of_its_own() -> None:
    guard = Guard.start(lambda lines: None)
    name = Path(f"/proc/{guard.pid}/comm")
    wait_until(lambda: name.read_text() == "medusa-guard\n", "the name")
    guard.done()

"""What holds for every test: a clean environment, nothing left behind, and in CI nothing skipped."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.terminals import assert_nothing_left
from tests.waiting import wait_until

# Of the developer's shell or of the make that runs the tests: they would configure the programs under test.
FOREIGN = ("MEDUSA_", "MAKE", "MFLAGS", "CONFIG_FILE", "MANTA_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")

# Ignored in what nohup and a shell's `&` start, and so in every program under test, which leaves them so.
DEAFENED = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP)


def pytest_configure() -> None:
    # No example is judged by the time it takes: the machine may stand still in any.
    settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("patient")
    for name in list(os.environ):
        if name.upper().startswith(FOREIGN):
            del os.environ[name]
    for number in DEAFENED:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)  # as deaf as before, but what is executed starts with the default


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """Fails a test that leaves a child process, alive or zombie, or an open file, pipe, socket or terminal."""
    before = children() | descriptors()

    def left() -> dict[str, str]:
        return {key: text for key, text in (children() | descriptors()).items() if before.get(key) != text}

    yield
    try:
        wait_until(lambda: not left())  # a helper thread may need a moment to reap its child or close its end
    except AssertionError:
        pytest.fail("left behind: " + ", ".join(f"{key} ({text})" for key, text in left().items()), pytrace=False)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """Where everything that a session makes must lie, and must be gone from."""
    home = tmp_path / "home"
    home.mkdir()
    yield home
    assert_nothing_left(home)


def children() -> dict[str, str]:
    """The processes whose parent is this one, and their names, also of those that ended and were not waited for."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            pid, rest = (path / "stat").read_text().split(" (", 1)
        except (FileNotFoundError, ProcessLookupError):
            continue
        name, fields = rest.rsplit(") ", 1)
        state, parent = fields.split()[:2]
        if int(parent) == os.getpid():
            found[f"process {pid}"] = f"zombie {name}" if state == "Z" else name
    return found


def descriptors() -> dict[str, str]:
    """The open descriptors and what they are, but for those that an event loop or the interpreter keeps for itself."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:
            continue
        if not target.startswith(("anon_inode:", "/dev/null", "/dev/urandom", "/proc/")):
            found[f"descriptor {name}"] = target
    return found


def _forbid_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if os.environ.get("CI") == "true" and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, and CI skips nothing: {report.longrepr}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _forbid_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _forbid_skip(report)
    return report

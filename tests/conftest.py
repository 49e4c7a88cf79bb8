"""Rules for every test: a clean environment, nothing left behind, and in CI nothing skipped."""

from __future__ import annotations

import compileall
import contextlib
import os
import signal
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.signing import Key, Keys
from tests.terminals import ROOT, assert_nothing_left
from tests.waiting import wait_until

PROGRAMS = ("agent", "bench", "medusa")
"""The packages that programs under test are made of."""

# Prefixes of variables of the developer's shell, or of make, that would configure the programs under test.
FOREIGN = (
    "MEDUSA_",
    "MAKE",
    "MFLAGS",
    "CONFIG_FILE",
    "MANTA_",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "SSH_AUTH_SOCK",
    "SSL_CERT_",
)

# nohup, and `&` of a shell, start programs that ignore these. The programs under test would inherit that.
OFTEN_IGNORED = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP)


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        # Each program under test reads these. Without them it starts half as fast; PYTHONDONTWRITEBYTECODE may be set.
        for package in PROGRAMS:
            compileall.compile_dir(ROOT / package, quiet=2)
    # An example may take any time: the machine may be suspended meanwhile.
    settings.register_profile("no deadline", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("no deadline")
    for name in list(os.environ):
        if name.upper().startswith(FOREIGN):
            del os.environ[name]
    os.environ["XDG_CONFIG_HOME"] = "/nonexistent/config"  # no config file of the developer's
    for number in OFTEN_IGNORED:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(
                number, lambda *_: None
            )  # still ignored here, but a program that is executed starts with the default


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """Fails a test that leaves a child process, also a zombie, or an open file, pipe, socket or terminal."""
    before = children() | descriptors()

    def left() -> dict[str, str]:
        return {key: text for key, text in (children() | descriptors()).items() if before.get(key) != text}

    yield
    try:
        wait_until(lambda: not left())  # a helper thread may need a moment to reap its child or close its end
    except AssertionError:
        pytest.fail("left behind: " + ", ".join(f"{key} ({text})" for key, text in left().items()), pytrace=False)


@pytest.fixture(scope="session")
def keys() -> Keys:
    """Private keys by their kinds."""
    return Keys()


@pytest.fixture(scope="session")
def key(keys: Keys) -> Key:
    """The key of an account, for tests that need only one."""
    return keys["ed25519"]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """The HOME of a session. Everything that the session creates must be there, and be gone at the end."""
    home = tmp_path / "home"
    home.mkdir()
    yield home
    assert_nothing_left(home)


def children() -> dict[str, str]:
    """The child processes of this one, zombies included, with their names."""
    found = {}
    for pid in _pids_of_children() | _pids_of_children():  # if a child is reaped meanwhile, another may be passed over
        try:
            name, fields = Path(f"/proc/{pid}/stat").read_text().partition(" (")[2].rsplit(") ", 1)
        except (FileNotFoundError, ProcessLookupError):
            continue
        found[f"process {pid}"] = f"zombie {name}" if fields.startswith("Z") else name
    return found


def _pids_of_children() -> set[str]:
    """To look at all processes of the machine, twice for each test, would take minutes in all."""
    found: set[str] = set()
    for thread in os.listdir("/proc/self/task"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # the thread has ended
            found.update(Path(f"/proc/self/task/{thread}/children").read_text().split())
    return found


def descriptors() -> dict[str, str]:
    """The open descriptors and what they are, except those of event loops and of the interpreter."""
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

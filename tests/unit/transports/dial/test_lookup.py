from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from medusa.transports.dial.lookup import lookup
from medusa.transports.dial.race import Address
from medusa.transports.steps import run
from tests.waiting import MS, PATIENCE

NAME = "name.example"
REAL = socket.getaddrinfo


def deadline() -> float:
    return time.monotonic() + PATIENCE


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], None]:
    """Sets the function that answers questions about names; addresses are still read by the system."""

    def set_answer(answer: Callable[[], Any]) -> None:
        def look_up(host: str, *arguments: Any, **options: Any) -> Any:
            return answer() if host == NAME else REAL(host, *arguments, **options)

        monkeypatch.setattr(socket, "getaddrinfo", look_up)

    return set_answer


@pytest.mark.parametrize("name", ["localhost", "LocalHost."])
def test_a_name(name: str) -> None:
    assert Address(socket.AF_INET, ("127.0.0.1", 80)) in run(lookup(name, 80, deadline()))


def test_all_that_the_system_says(names: Callable[[Callable[[], Any]], None]) -> None:
    six, four = ("fe80::1", 7, 0, 3), ("192.0.2.1", 7)
    names(lambda: [(socket.AF_INET6, 1, 6, "", six), (socket.AF_INET, 1, 6, "", four)])
    assert run(lookup(NAME, 7, deadline())) == [Address(socket.AF_INET6, six), Address(socket.AF_INET, four)]


@pytest.mark.parametrize("host", ["192.0.2.1", "::1", "fe80::1"])
def test_an_address_needs_no_helper(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.delattr(os, "fork")
    assert [address.host for address in run(lookup(host, 80, 0))] == [host]


@pytest.mark.parametrize(
    "error", [socket.gaierror(socket.EAI_AGAIN, "try again"), OSError(5, "no files"), UnicodeError("no name")]
)
def test_an_error_is_passed_on(names: Callable[[Callable[[], Any]], None], error: Exception) -> None:
    def fail() -> NoReturn:
        raise error

    names(fail)
    with pytest.raises(OSError) as caught:
        run(lookup(NAME, 80, deadline()))
    assert isinstance(caught.value, socket.gaierror) is isinstance(error, socket.gaierror)
    assert caught.value.strerror == (getattr(error, "strerror", None) or str(error))


def test_a_lookup_that_does_not_end_is_given_up(names: Callable[[Callable[[], Any]], None]) -> None:
    names(signal.pause)
    with pytest.raises(socket.timeout, match="the lookup of the name timed out"):
        run(lookup(NAME, 80, time.monotonic() + 50 * MS))


def test_a_signal_ends_the_wait(names: Callable[[Callable[[], Any]], None]) -> None:
    caller = os.getpid()

    class Stop(BaseException):
        pass

    def stop(*_: object) -> NoReturn:
        raise Stop

    def answer() -> None:
        # Until the caller waits, and not just for a moment. In a process with threads, a handler may run before fork
        # returns, and Python drops exceptions there.
        waits = 0
        while waits < 100:
            asleep = Path(f"/proc/{caller}/stat").read_text().rsplit(") ", 1)[1][0] == "S"
            waits = waits + 1 if asleep else 0
            time.sleep(MS)
        os.kill(caller, signal.SIGUSR1)
        signal.pause()

    names(answer)
    before = signal.signal(signal.SIGUSR1, stop)
    try:
        with pytest.raises(Stop):
            run(lookup(NAME, 80, deadline()))
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_where_a_helper_dies_or_cannot_be_made_the_program_asks_for_itself(
    names: Callable[[Callable[[], Any]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    caller, found = os.getpid(), [(socket.AF_INET, 1, 6, "", ("192.0.2.1", 80))]
    names(lambda: found if os.getpid() == caller else os.kill(os.getpid(), signal.SIGKILL))
    assert run(lookup(NAME, 80, deadline())) == [Address(socket.AF_INET, ("192.0.2.1", 80))]

    def no_process() -> NoReturn:
        raise PermissionError

    monkeypatch.setattr(os, "fork", no_process)
    assert run(lookup(NAME, 80, deadline())) == [Address(socket.AF_INET, ("192.0.2.1", 80))]

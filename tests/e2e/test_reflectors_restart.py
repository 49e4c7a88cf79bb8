"""Sessions of real programs that outlive their reflector."""

from __future__ import annotations

import contextlib
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from tests import reflectors, sites
from tests.ports import free_port
from tests.reflectors import Reflector
from tests.terminals import Terminal, assert_nothing_left, environment, mlogin, terminal
from tests.waiting import PATIENCE, wait_until

STOPS = [signal.SIGKILL, signal.SIGTERM]
DRAIN = ["--drain-timeout", str(100 * PATIENCE)]


class Balancer:
    """Passes each connection on to the first of `ports` that takes one."""

    def __init__(self, *ports: int) -> None:
        self.ports = ports
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d" % self._listener.getsockname()[1]
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._threads = [Thread(target=self._accept)]
        self._threads[0].start()

    def __enter__(self) -> Balancer:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                outer = self._listener.accept()[0]
                inner = self._reach()
                if inner is None:
                    outer.close()
                    continue
                done = Thread(target=_pass_both, args=(outer, inner))
                done.start()
                self._threads.append(done)

    def _reach(self) -> socket.socket | None:
        for port in self.ports:
            with contextlib.suppress(OSError):
                return socket.create_connection(("127.0.0.1", port))
        return None


def _pass_both(outer: socket.socket, inner: socket.socket) -> None:
    with outer, inner:
        back = Thread(target=_pass, args=(inner, outer))
        back.start()
        _pass(outer, inner)
        back.join()


def _pass(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    path = tmp_path / "home"
    path.mkdir()
    return path


@contextlib.contextmanager
def shell(home: Path, url: str) -> Iterator[Terminal]:
    """An mlogin on a terminal. Its shell has been told something; see `end`."""
    with terminal(
        mlogin("--launcher", "local", "--reflector", url, "--no-login", "--name", "x"), environment(home)
    ) as opened:
        opened.type("KNOWN=4''2; PS1='job''> '\r")
        opened.until("job> $")
        yield opened
    assert_nothing_left(home)


def end(opened: Terminal) -> None:
    """The shell still knows what it was told, and its exit status arrives."""
    opened.type("echo still $KNOWN; exit 7\r")
    opened.until("still 42")
    assert opened.status() == 7


def is_linked(reflector: Reflector) -> bool:
    return "forwarding" in reflector.states().values()


def stop(reflector: Reflector, number: signal.Signals) -> None:
    """Does not wait for --drain-timeout, which is longer."""
    reflector.signal(number)
    reflector.process.wait(PATIENCE)


def assert_few_words(opened: Terminal) -> None:
    """The user was told of the way back in one line at most, which may have been drawn again in its place."""
    assert b"the session ends" not in opened.screen
    assert sum(b"reconnect" in line for line in opened.screen.split(b"\n")) <= 1


@pytest.mark.parametrize("number", STOPS)
def test_the_only_reflector_is_stopped_and_started_again(home: Path, tmp_path: Path, number: signal.Signals) -> None:
    options = ["--port", str(free_port()), "--state-dir", str(tmp_path / "state"), *DRAIN]
    with reflectors.running(*options, check=False) as first, shell(home, first.url) as opened:
        stop(first, number)
        with reflectors.running(*options) as second:
            wait_until(lambda: is_linked(second), "the session")
            end(opened)
            assert_few_words(opened)
            wait_until(lambda: second.logged("session ended", outcome="completed", session_name="x"), "its end")


@pytest.mark.parametrize("number", STOPS)
def test_one_of_two_reflectors_is_stopped(home: Path, tmp_path: Path, number: signal.Signals) -> None:
    with (
        sites.site(tmp_path) as site,
        site.reflector() as one,
        site.reflector(*DRAIN, check=False) as other,
        Balancer(other.port, one.port) as door,
        shell(home, door.url) as opened,
    ):
        stop(other, number)
        wait_until(lambda: is_linked(one), "the session")
        end(opened)
        assert_few_words(opened)
        wait_until(lambda: one.logged("session ended", outcome="completed", session_name="x"), "its end")

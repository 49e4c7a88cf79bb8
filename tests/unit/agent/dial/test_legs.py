"""Dialling for further clients, beside a loop that goes on."""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.dial.legs import LEG_TIMEOUT, MAX_DIALLED, MAX_LEGS, LegDialer
from agent.poller import Poller
from medusa.protocol.messages import Binary
from medusa.transports.base import Transport
from medusa.transports.dial.headers import Headers
from tests.blocking import receive
from tests.frames import BINARY, frame
from tests.servers import ScriptedServer, read_request, switching
from tests.waiting import PATIENCE, Clock, wait_until

LEG = "00112233445566778899aabbccddeeff"


class Loop:
    """The agent's loop: polls for the dialer, and steps."""

    def __init__(self, url: str, headers: Headers = Headers()) -> None:  # noqa: B008
        self.clock, self.log = Clock(), list[str]()
        self.dialer = LegDialer(url, False, self.log.append, headers, self.clock)
        self._poller = Poller()

    def round(self) -> list[Transport]:
        """One round: waits for an event, unless a step is due."""
        due = self.dialer.deadline()
        self._poller.watch(self.dialer.wanted())
        return self.dialer.step(self._poller.wait(0 if due is None or due <= self.clock() else PATIENCE))

    def until(self, condition: Callable[[], object]) -> list[Transport]:
        opened: list[Transport] = []
        while not condition() and not opened:
            opened += self.round()
        return opened

    def step(self) -> dict[int, int]:
        """One step without events. Returns what is wanted after it."""
        assert self.dialer.step({}) == []
        return self.dialer.wanted()


@pytest.fixture
def silent() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0), backlog=MAX_LEGS) as listener:
        yield f"ws://127.0.0.1:{listener.getsockname()[1]}/"


def never() -> bool:
    return False


@pytest.mark.parametrize(
    "headers", [Headers(("X-A: b",)), Headers(("@{}",)), Headers((), "cat {}")], ids=["given", "file", "command"]
)
def test_a_leg_is_dialled_without_the_signature(
    headers: Headers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_RUN_ID", "7")
    file = tmp_path / "headers"
    file.write_text("X-A: b\n")
    given = tuple(text.format(file) for text in headers.given)
    headers = Headers(given, headers.command and headers.command.format(file))
    seen = []

    def script(sock: socket.socket) -> None:
        request = read_request(sock)
        names = ("x-a", "medusa-features", "medusa-about", "medusa-leg")
        seen.extend([request.target, *(request.headers.get(name) for name in names)])
        sock.sendall(switching(request) + frame(BINARY, b"hello", key=None))
        sock.recv(100)

    with ScriptedServer(script) as server:
        loop = Loop(server.url("/l/medusa/attach/x/slave?signature=secret"), headers)
        loop.dialer.begin(LEG)
        loop.dialer.begin(LEG)
        (link,) = loop.until(never)
        assert receive(link) == Binary(b"hello")
        link.abort()
    assert seen == ["/l/medusa/attach/x/slave", "b", "call", f"host={os.uname().nodename}&job=github+7", LEG]
    assert (loop.dialer.wanted(), loop.dialer.deadline(), loop.log) == ({}, None, [])


def test_a_reason_is_logged_once() -> None:
    def refuse(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(b"HTTP/1.1 409 x\r\nContent-Type: text/plain\r\n\r\nno such leg\n")

    with ScriptedServer(refuse, refuse) as server:
        loop = Loop(server.url())
        for name in ("a", "b"):
            loop.dialer.begin(name)
        loop.until(lambda: not loop.dialer.wanted() and loop.log)
        assert loop.log == ["not connected for one more client: no such leg (status 409)"]


def test_only_some_are_dialled_at_once_and_all_are_given_up_in_time(silent: str) -> None:
    loop = Loop(silent)
    for number in range(MAX_LEGS + 1):
        loop.dialer.begin(str(number))
    assert loop.log == ["not connected for one more client: too many are being dialled"]
    assert len(loop.step()) == MAX_DIALLED
    loop.clock.sleep(LEG_TIMEOUT)
    while loop.dialer.deadline() is not None:
        assert len(loop.step()) <= MAX_DIALLED
    assert len(loop.log) == 3


def test_a_header_command_does_not_stop_the_loop_and_is_killed_with_what_it_starts(silent: str, tmp_path: Path) -> None:
    loop = Loop(silent, Headers((), f"sleep 1000 & echo $! > {tmp_path}/new; mv {tmp_path}/new {tmp_path}/pid; wait"))
    loop.dialer.begin(LEG)
    assert list(loop.step().values()) == [select.POLLIN]
    pid = int(wait_until((tmp_path / "pid").exists) and (tmp_path / "pid").read_text())
    loop.dialer.close()
    wait_until(lambda: not alive(pid))
    assert (loop.dialer.wanted(), loop.log) == ({}, [])


def alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("exit 3", "the header command ended with status 3"),
        ("kill -9 $PPID", "the headers could not be read: the process for it was not started, or killed"),
        ("echo x", "the header command's output: line 1: a header is of the form 'NAME: VALUE'"),
    ],
)
def test_a_header_command_that_fails(silent: str, command: str, words: str) -> None:
    loop = Loop(silent, Headers((), command))
    loop.dialer.begin(LEG)
    loop.until(lambda: loop.log)
    assert loop.log == ["not connected for one more client: " + words]


def test_descriptors_run_out(silent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_pipe() -> tuple[int, int]:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "pipe", no_pipe)
    loop = Loop(silent, Headers((), "true"))
    loop.dialer.begin(LEG)
    loop.step()
    assert loop.log == ["not connected for one more client: the headers could not be read: Too many open files"]

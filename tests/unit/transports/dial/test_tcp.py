"""Connecting to a host whose addresses swallow, refuse or answer, over real sockets."""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections.abc import Iterator
from typing import Any

import gevent.select
import gevent.socket
import pytest

from medusa.transports.dial import ConnectRefused
from medusa.transports.dial.race import Address
from medusa.transports.dial.tcp import connect_any, connect_tcp, summary
from medusa.transports.steps import run
from tests.ports import swallowing
from tests.waiting import MS, PATIENCE


class Host:
    """A host with one port: at 127.0.0.2 and 127.0.0.3 packets are swallowed, at 127.0.0.4 a program answers.

    Nothing listens at its other addresses.
    """

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self.listener = stack.enter_context(socket.create_server(("127.0.0.4", 0)))
        self.port = self.listener.getsockname()[1]
        for number in (2, 3):
            stack.enter_context(swallowing(f"127.0.0.{number}", self.port))

    def addresses(self, hosts: str) -> list[Address]:
        """The addresses that begin with 127.0.0 and end with the given digits; `v6` is ::1, where nothing listens."""
        four, six = socket.AF_INET, socket.AF_INET6
        return [
            Address(six, ("::1", self.port, 0, 0)) if word == "v6" else Address(four, (f"127.0.0.{word}", self.port))
            for word in hosts.split()
        ]


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with contextlib.ExitStack() as stack:
        yield Host(stack)


@pytest.mark.parametrize("library", ["standard", "gevent"])
@pytest.mark.parametrize("hosts", ["4", "2 4", "2 3 4", "5 4", "2 5 6 4", "v6 4", "2 v6 3 4", "4 2", "2 2 4"])
def test_the_first_address_that_answers_wins(host: Host, hosts: str, library: str) -> None:
    sockets, polls = {"standard": (socket, select), "gevent": (gevent.socket, gevent.select)}[library]
    addresses, deadline = host.addresses(hosts), time.monotonic() + PATIENCE
    with run(connect_any(addresses, "h:1", deadline, 5 * MS, sockets.socket), polls.poll) as sock:
        assert sock.getpeername() == ("127.0.0.4", host.port)
        assert sock.gettimeout() == 0
    host.listener.accept()[0].close()


@pytest.mark.parametrize(
    ("hosts", "words"),
    [
        ("5", r"^h:1: Connection refused \(127\.0\.0\.5\)$"),
        ("5 6", r"^h:1: Connection refused \(127\.0\.0\.5, 127\.0\.0\.6\)$"),
        ("2 5", r"^h:1: Connection refused \(127\.0\.0\.5\); timed out \(127\.0\.0\.2\)$"),
        ("2 3", r"^h:1: timed out \(127\.0\.0\.2, 127\.0\.0\.3\)$"),
        ("", "^h:1: the name has no address$"),
    ],
)
def test_if_none_answers_each_is_named(host: Host, hosts: str, words: str) -> None:
    with pytest.raises(ConnectRefused, match=words) as caught:
        run(connect_any(host.addresses(hosts), "h:1", time.monotonic() + 50 * MS, delay=1 * MS))
    assert caught.value.retryable


def test_after_the_deadline_nothing_is_tried(host: Host) -> None:
    with pytest.raises(ConnectRefused, match=r"^h:1: not tried \(127\.0\.0\.4\)$"):
        run(connect_any(host.addresses("4"), "h:1", time.monotonic()))


def test_a_family_that_the_system_does_not_have(host: Host) -> None:
    def no_ipv6(family: int, kind: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(97, "Address family not supported by protocol")
        return socket.socket(family, kind)

    with run(connect_any(host.addresses("v6 4"), "h:1", time.monotonic() + PATIENCE, new_socket=no_ipv6)) as sock:
        assert sock.getpeername()[0] == "127.0.0.4"
    host.listener.accept()[0].close()


def test_a_signal_leaves_no_socket(host: Host) -> None:
    class Poll:
        def register(self, *_: int) -> None: ...

        def poll(self, *_: int) -> list[Any]:
            raise KeyboardInterrupt

    opened: list[socket.socket] = []

    def remember(family: int, kind: int) -> socket.socket:
        opened.append(socket.socket(family, kind))
        return opened[-1]

    with pytest.raises(KeyboardInterrupt):
        run(connect_any(host.addresses("2"), "h:1", time.monotonic() + PATIENCE, new_socket=remember), Poll)
    assert [sock.fileno() for sock in opened] == [-1]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("localhost", r"^localhost:1: Connection refused \("),
        ("127.0.0.1", r"^127\.0\.0\.1:1: Connection refused$"),
        ("::1", r"^\[::1\]:1: [^()]*$"),
        ("no.such.host.invalid", r"^no\.such\.host\.invalid:1: \w"),
        ("a..b", r"^a\.\.b:1: this cannot be the name of a host$"),
    ],
)
def test_a_host_is_named_with_the_reason(name: str, words: str) -> None:
    with pytest.raises(ConnectRefused, match=words):
        run(connect_tcp(name, 1, time.monotonic() + PATIENCE))


def test_reasons_that_are_the_same_are_said_once() -> None:
    failures = [("a", "x"), ("b", "y"), ("c", "x")]
    assert summary("h:1", failures) == "h:1: x (a, c); y (b)"


def test_a_keystroke_is_sent_at_once(host: Host) -> None:
    with run(connect_tcp("127.0.0.4", host.port, time.monotonic() + PATIENCE)) as sock:
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    host.listener.accept()[0].close()

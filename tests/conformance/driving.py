"""Driving both ends of a link, also in ways that its interface does not offer."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable
from typing import Any

from medusa.protocol.messages import Binary, Close, Message
from medusa.transports.base import BrokenTransport, ClosedTransport, Transport
from tests.links import Ends
from tests.waiting import MS, PATIENCE, Deadline, wait_until

Make = Callable[..., Ends]
"""Makes a new link; takes `max_message`. All links are let go of after a check."""

SHORT = 50 * MS
"""Seconds to wait for what must not happen."""

SETTLING = 250 * MS
"""Seconds. A TCP that dropped what did not fit sends it again after 200 ms, and may find room."""


FILLING = Binary(bytes(5000))


def carry(source: Transport, sink: Transport, messages: Iterable[Message]) -> list[Message]:
    """Sends all messages from this thread; returns what arrived, as many as were sent."""
    waiting, received, deadline = list(messages), list[Message](), Deadline()
    count = len(waiting)
    while len(received) < count:
        assert not deadline.passed, f"{len(received)} of {count} have arrived"
        if source.flush() and waiting:
            source.send_nowait(waiting.pop(0))
        while (message := sink.receive_nowait()) is not None:
            received.append(message)
    return received


def write_raw(transport: Transport, data: bytes) -> None:
    """Bytes that its codec would not write."""
    deadline = Deadline()
    while data:
        assert not deadline.passed
        try:
            data = data[transport._stream.send(data) :]
        except BlockingIOError:
            transport._stream.wait(False, True, deadline.left)


def clog(transport: Transport) -> int:
    """Sends FILLING until the peer, which does not read, has no room; how many were accepted."""
    sock = getattr(transport._stream, "_sock", None)
    settle = SETTLING if sock is not None and sock.family == socket.AF_INET else 0
    sent, settled = 0, -1
    while settled != transport.sent:
        settled = transport.sent
        while transport.flush():
            sent += 1
            transport.send_nowait(FILLING)
        transport._stream.wait(False, True, settle)
    return sent


def drain(source: Transport, sink: Transport) -> list[Message]:
    """What `sink` receives until all that waits at `source` has arrived."""
    received: list[Message] = []

    def through() -> bool:
        done = source.flush()
        while not isinstance(message := sink.receive_nowait(), Close) and message is not None:
            received.append(message)
        if message:
            received.append(message)
        return message is not None or (done and not source.wants_write and sink.received == source.sent)

    wait_until(through)
    return received


class Aside:
    """Runs something in a thread; `result` waits for it and raises what it raised."""

    def __init__(self, run: Callable[[], Any]) -> None:
        self._outcome: list[Any] = []
        self._error: BaseException | None = None
        self._run = run
        self._thread = threading.Thread(target=self._guarded)
        self._thread.start()

    def _guarded(self) -> None:
        try:
            self._outcome.append(self._run())
        except BaseException as error:  # noqa: BLE001
            self._error = error

    def result(self) -> Any:
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "it still waits"
        if self._error is not None:
            raise self._error
        return self._outcome[0]


def ended(transport: Transport) -> Exception:
    """How reading ends, nothing more being handed over before."""

    def find() -> Exception | None:
        try:
            assert transport.receive_nowait() is None
        except (BrokenTransport, ClosedTransport) as error:
            return error
        return None

    found = wait_until(find)
    assert found is not None
    return found

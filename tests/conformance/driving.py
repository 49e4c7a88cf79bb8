"""Driving both ends of a link, also in ways that its interface does not offer."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from medusa.protocol.messages import Binary, Close, Message
from medusa.transports.base import BrokenTransport, ClosedTransport, Transport
from tests.links import Ends
from tests.waiting import MS, Deadline, wait_until

Make = Callable[..., Ends]
"""Makes a new link; takes `max_message`. All links are let go of after a check."""

SHORT = 50 * MS
"""Seconds to wait for what must not happen."""

SETTLING = 250 * MS
"""Seconds. A TCP that dropped what did not fit sends it again after 200 ms, and may find room."""


FILLING = Binary(bytes(5000))


def carry(
    source: Transport, sink: Transport, messages: Iterable[Message], step: Callable[[], object] = lambda: None
) -> list[Message]:
    """Sends all messages from this thread, with `step` in between; returns what arrived, as many as were sent."""
    waiting, received, deadline = list(messages), list[Message](), Deadline()
    count = len(waiting)
    while len(received) < count:
        assert not deadline.passed, f"{len(received)} of {count} have arrived"
        if source.flush() and waiting:
            source.send_nowait(waiting.pop(0))
        step()
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
        while (message := sink.receive_nowait()) is not None:
            received.append(message)
            if isinstance(message, Close):
                break
        return message is not None or (done and not source.wants_write and sink.received == source.sent)

    wait_until(through)
    return received


aside = ThreadPoolExecutor().submit
"""Runs a function in a thread; `result` of what it returns waits for it and raises what it raised."""


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

"""Runs work that has to wait, in steps: a generator yields what it waits for, and its caller decides how to wait.

`run` blocks until the work is done. A loop that serves others meanwhile asks several generators what they wait for,
polls for all of it, and passes each of them its events.
"""

from __future__ import annotations

import math
import select
import socket
import time
from typing import Any, Callable, Dict, Generator, Generic, Mapping, NamedTuple, Optional, TypeVar, Union

from medusa.transports.socket_stream import SocketStream

SIGNAL_LATENCY = 0.5
"""The longest single wait, in seconds. Longer waits are split, because Python handles signals between two waits."""

TIMED_OUT = "timed out"

T = TypeVar("T")


class Wait(NamedTuple):
    """The events that a generator waits for, and how long it waits.

    Attributes:
        events: the events to poll for, as masks of select.POLLIN and select.POLLOUT, by descriptor.
        until: the time of time.monotonic() after which it waits no longer.
    """

    events: Dict[int, int]
    until: float


Steps = Generator[Wait, Dict[int, int], T]
"""Work in steps, with a result of type T.

Send it the events by descriptor as soon as there are some, or {} after the time `until`. Its `close` gives the work up:
it closes the sockets and ends the helper process of the work.
"""


class Work(Generic[T]):
    """Work in steps that a loop carries out beside its other work.

    In each round, the loop polls for `wanted`, until `until` at most, and calls `step`. Before the first step, `until`
    is in the past, so the loop calls `step` at once.
    """

    def __init__(self, steps: Steps[T]) -> None:
        self._steps = steps
        self._wait = Wait({}, -math.inf)
        self._begun = False

    @property
    def wanted(self) -> Dict[int, int]:
        """The events to poll for, as a mask for each descriptor."""
        return self._wait.events

    @property
    def until(self) -> float:
        """The time at which to call `step` even if there is no event."""
        return self._wait.until

    def step(self, events: Mapping[int, int], now: float) -> Optional[T]:
        """Goes on with the work if one of its events has come, or if the time `until` has passed.

        Returns the result if the work is done, else None. Raises what the work raises.

        Args:
            events: what poll reported, as a mask for each descriptor. Other descriptors are ignored.
            now: the present time.
        """
        found = {fd: events[fd] for fd in self._wait.events if events.get(fd)}
        if not found and now < self._wait.until:
            return None
        begun, self._begun = self._begun, True
        try:
            self._wait = self._steps.send(found) if begun else next(self._steps)
        except StopIteration as end:
            result: T = end.value
            return result
        return None

    def close(self) -> None:
        """Gives up the work, and frees its resources."""
        self._steps.close()


def run(steps: Steps[T], new_poll: Callable[[], Any] = select.poll) -> T:
    """Does the work to its end, and returns its result. Blocks while the work waits.

    Raises what the work raises. If anything is raised while it waits, gives the work up.

    Args:
        new_poll: a function that makes a select.poll object. The reflector passes gevent's.
    """
    try:
        wait = next(steps)
        while True:
            wait = steps.send(_poll(wait, new_poll))
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        steps.close()


def _poll(wait: Wait, new_poll: Callable[[], Any]) -> Dict[int, int]:
    poll = new_poll()
    for fd, mask in wait.events.items():
        poll.register(fd, mask)
    while True:
        left = wait.until - time.monotonic()
        if left <= 0:
            return {}
        events = dict(poll.poll(int(min(left, SIGNAL_LATENCY) * 1000) + 1))
        if events:
            return events


def receive(sock: Union[socket.socket, SocketStream], size: int, until: float) -> Steps[bytes]:
    """Receives and returns up to `size` bytes, in steps; b"" at the end of the stream.

    Args:
        sock: a socket that does not block, or a stream.
        until: the time of time.monotonic() after which this raises socket.timeout.
    """
    while True:
        try:
            return sock.recv(size)
        except BlockingIOError:
            pass
        if not (yield Wait({sock.fileno(): select.POLLIN}, until)):
            raise socket.timeout(TIMED_OUT)


def send_all(sock: Union[socket.socket, SocketStream], data: bytes, until: float) -> Steps[None]:
    """Sends all of `data`, in steps. For the arguments see `receive`."""
    view = memoryview(data)
    while view:
        try:
            view = view[sock.send(view) :]
            continue
        except BlockingIOError:
            pass
        if not (yield Wait({sock.fileno(): select.POLLOUT}, until)):
            raise socket.timeout(TIMED_OUT)

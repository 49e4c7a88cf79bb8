"""The other end of a client's link, played by the test, and a launcher whose job does as it is told."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType

from medusa.client.launchers.base import JobRequest, JobState, Launcher
from medusa.client.terminal.console import Console
from medusa.client.terminal.messages import Messages
from medusa.client.terminal.signals import Signals
from medusa.client.terminal.stdout import Stdout
from medusa.client.terminal.tty import Terminal
from medusa.protocol.control import Control, build, parse
from medusa.protocol.messages import Binary, Close, Message, Ping, Text
from medusa.protocol.websocket.codec import Role, WebSocketCodec
from medusa.transports.base import ClosedTransport, Transport
from medusa.transports.link import Link
from medusa.transports.socket_stream import SocketStream
from tests.blocking import BlockingTransport, blocking_websocket
from tests.waiting import MS, PATIENCE


@contextlib.contextmanager
def ignored(signum: int) -> Iterator[None]:
    """This process ignores the signal."""
    before = signal.signal(signum, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signum, before)


def link_ends() -> tuple[Transport, BlockingTransport]:
    """A client's transport and its peer, over a socket pair."""
    near, far = socket.socketpair()
    codec = WebSocketCodec(Role.CLIENT, lambda: os.urandom(4))
    return Transport(SocketStream(near), codec), blocking_websocket(far)


class Desk:
    """mlogin's link and standard descriptors, whose other ends the test holds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        near, self.far = link_ends()
        self.link = Link(near, clock)
        self.stdin, self.keyboard = os.pipe()
        self.screen, self.stdout = os.pipe()
        self.stderr, self.said_to = os.pipe()
        self.output = Stdout(self.stdout)

    def close(self) -> None:
        self.output.close()
        self.link.abort()
        self.far.abort()
        for fd in (self.stdin, self.keyboard, self.screen, self.stdout, self.stderr, self.said_to):
            if fd >= 0:
                os.close(fd)

    def console(self, terminal: Terminal, signals: Signals) -> Console:
        return Console(terminal, self.output, Messages(self.said_to), signals)

    def said(self) -> str:
        """What mlogin has said to the user."""
        return os.read(self.stderr, 65536).decode()


class Peer:
    """Runs a script against the far end in a thread; what the script raises is raised when the context is left."""

    def __init__(self, transport: BlockingTransport, script: Callable[[Peer], None]) -> None:
        self.transport = transport
        self.typed = b""
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(script,))

    def __enter__(self) -> Peer:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self._thread.join(PATIENCE)
        self.transport.abort()
        if self._failure is not None and (not isinstance(value, AssertionError)):
            raise self._failure

    def say(self, message: Control | bytes | Message) -> None:
        if isinstance(message, bytes):
            message = Binary(message)
        elif not isinstance(message, (Text, Binary, Close, Ping)):
            message = Text(build(message))  # type: ignore[arg-type]
        self.transport.send(message, PATIENCE)

    def hear(self, kind: type[Control] | type[Close]) -> Control | Close:
        """The next message of `kind`; terminal bytes that come before it go to `typed`."""
        while True:
            message = self.transport.receive(PATIENCE)
            if isinstance(message, Binary):
                self.typed += message.data
            control = parse(message.text) if isinstance(message, Text) else message
            if isinstance(control, kind):
                return control

    def hear_typed(self, wanted: bytes) -> None:
        while not self.typed.endswith(wanted):
            message = self.transport.receive(PATIENCE)
            if isinstance(message, Binary):
                self.typed += message.data

    def fill(self) -> int:
        """Sends bytes until no more are taken. Returns how many were."""
        taken = 0
        try:
            while True:
                self.transport.send(Binary(bytes(65536)), 300 * MS)
                taken += 65536
        except TimeoutError:
            return taken

    def hear_end(self) -> None:
        while True:
            try:
                self.transport.receive(PATIENCE)
            except ClosedTransport:
                return

    def _run(self, script: Callable[[Peer], None]) -> None:
        try:
            script(self)
        except BaseException as error:  # noqa: BLE001 - raised again in the test's own thread
            self._failure = error
            self.transport.abort()


class PlayedLauncher(Launcher):
    """A job system with one job, which is in the state that the test sets."""

    name = "played"

    def __init__(self) -> None:
        self.state = JobState(alive=True, words="queued")
        self.tail: list[str] = []

    def describe(self) -> str:
        return "played job"

    def submit(self, request: JobRequest) -> None:
        raise NotImplementedError

    def poll(self) -> JobState:
        return self.state

    def log_tail(self) -> list[str]:
        return self.tail

    def finish(self, grace: float, *, clean: bool) -> None:
        raise NotImplementedError

    def cancel(self) -> None:
        raise NotImplementedError


class Told:
    """A guard that only listens."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def record(self, line: str) -> None:
        self.lines.append(line)

    def done(self) -> None:
        self.lines.append("done")

"""The surroundings of a session: a real terminal, a real socket, and a clock that moves when nothing happens."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

from agent.poller import Poller
from agent.process.context import Context
from agent.process.process_tree import ProcessTree, ended_line, started_line
from agent.session.loop import SessionLoop
from agent.signals import StopSignals
from agent.timeouts import Timeouts
from medusa.guard import Guard
from medusa.protocol.control import Control, Start, build, parse
from medusa.protocol.messages import Binary, Message, Text
from medusa.transports.base import ClosedTransport
from tests.unit.client.peers import link_ends
from tests.waiting import Clock

Script = Iterator[None]

TIMEOUTS = Timeouts(close_timeout=0.01, processes_interval=0.5)


def shell(command: str) -> Start:
    return Start(command="/bin/sh", arguments=("-c", command))


class Stage(Poller):
    """A session's surroundings. In each round of the loop, before it polls, the client reads and the script goes on."""

    def __init__(self, guard: Guard) -> None:
        super().__init__()
        self.near, self.far = link_ends()
        self.guard = guard
        self.clock = Clock()
        self.signals = StopSignals()
        self.log: list[str] = []
        self.received: list[Message | Control | None] = []
        self.reading = True
        self.real_wait = 0.01  # seconds for the command to do something, before the clock moves
        self._script: Script = iter(())

    def wait(self, timeout: float | None) -> dict[int, int]:
        self._read()
        next(self._script, None)
        events = super().wait(self.real_wait if timeout else 0)
        if not events:
            self.clock.now += timeout or 0.0
        return events

    def _read(self) -> None:
        try:
            while self.reading and (message := self.far.receive_nowait()) is not None:
                self.received.append(parse(message.text) if isinstance(message, Text) else message)
        except ClosedTransport:
            self.reading = False

    def run(self, script: Callable[[Stage], Script], log: Callable[[str], None] | None = None, **more: Any) -> None:
        self._script = script(self)
        context = Context(self.signals, self.guard, dict(os.environ), log or self.log.append, TIMEOUTS, self.clock)
        SessionLoop(self.near, context, poller=self, **more).run()

    def tell(self, message: Control | bytes) -> None:
        self.far.send_nowait(Binary(message) if isinstance(message, bytes) else Text(build(message)))

    def find(self, kind: type[Any]) -> list[Any]:
        return [message for message in self.received if isinstance(message, kind)]

    def until(self, kind: type[Any], count: int = 1) -> Script:
        while len(self.find(kind)) < count:
            yield

    @property
    def output(self) -> bytes:
        return b"".join(message.data for message in self.find(Binary))

    def check_nothing_is_left(self) -> None:
        lines = self.guard.lines()  # type: ignore[attr-defined]
        pid = int(lines[0].split()[1])
        assert lines == [started_line(pid), ended_line(pid)]
        assert ProcessTree([pid]).members() == set()

    def close(self) -> None:
        self.signals.close()
        self.near.abort()
        self.far.abort()

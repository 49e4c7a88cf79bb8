"""Runs a session: serves its links, signals and processes in one loop and one thread that never blocks."""

from __future__ import annotations

import signal
from dataclasses import replace
from typing import Dict, List, Optional

from agent.dial import LegDialer
from agent.poller import READ, Poller
from agent.process.commands import Commands
from agent.process.context import Context
from agent.session.leg import Leg
from agent.streams.shared import Shared
from medusa.transports.base import Transport

MAX_LINKS = 256
"""The maximum number of links of one agent. The reflector's limit is lower, unless its administrator has raised it."""


class SessionLoop:
    """A session, which begins with one link. The session is over after its last link is closed.

    Args:
        transport: the first link. From now on, only the session uses it. The session closes it at the end.
        preface: bytes that the user of the first terminal is shown before any output of the command.
        dialer: dials once more for each client that joins; None to serve one client only. The session closes it.
    """

    def __init__(
        self,
        transport: Transport,
        context: Context,
        preface: bytes = b"",
        poller: Optional[Poller] = None,
        dialer: Optional[LegDialer] = None,
    ) -> None:
        self._context, self._signals = context, context.signals
        self._clock, self._timeouts = context.clock, context.timeouts
        self._commands = Commands(context.guard, self._clock, self._timeouts)
        self._shared = Shared(preface)
        self._dialer = dialer
        self._poller = poller or Poller()
        self._legs: List[Leg] = []
        self._count = 0
        self._failure: Optional[BaseException] = None
        self._add(transport)

    def run(self) -> None:
        """Runs the session. Returns when it is over: its links are closed, and its last process has ended.

        Raises:
            Exception: an unexpected exception of one of the links. That link was closed; the others went on.
        """
        try:
            self._run()
        except BaseException as error:  # noqa: BLE001  (it is raised again after the clean-up)
            self._stop_dialling()
            for leg in self._legs:
                leg.fail()
            self._failure = error
            self._run()
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        while self._legs or self._dials or self._commands.ending:
            self._round()

    def _add(self, transport: Transport) -> None:
        """Adds a link. In the log, the lines of the second link and of later ones begin with the link's number."""
        self._count += 1
        context, log, name = self._context, self._context.log, "client %d: " % self._count
        if self._count > 1:
            context = replace(context, log=lambda line: log(name + line))
            context.log("connected")
        self._legs.append(Leg(transport, self._commands, context, self._shared, self._call))

    @property
    def _dials(self) -> bool:
        return self._dialer is not None and self._dialer.deadline() is not None

    def _call(self, leg: str) -> None:
        if self._dialer is not None and len(self._legs) < MAX_LINKS:
            self._dialer.begin(leg)

    def _stop_dialling(self) -> None:
        if self._dialer is not None:
            self._dialer.close()
            self._dialer = None

    # ------------------------------------------------------------------ one round

    def _round(self) -> None:
        self._poller.watch(self._wanted())
        events = self._poller.wait(self._timeout())
        if events.get(self._signals.fileno()):
            self._take_signals()
        for leg in self._legs:
            self._serve(leg, events)
        self._legs = [leg for leg in self._legs if not leg.over]
        for transport in self._dialer.step(events) if self._dialer is not None else ():
            self._add(transport)
        self._commands.step()
        if not self._dials and all(leg.closing for leg in self._legs):
            self._commands.end_all()

    def _wanted(self) -> Dict[int, int]:
        wanted = {self._signals.fileno(): READ, **(self._dialer.wanted() if self._dialer is not None else {})}
        for leg in self._legs:
            wanted.update(leg.wanted())
        return wanted

    def _timeout(self) -> Optional[float]:
        now = self._clock()
        due = [leg.deadline() for leg in self._legs]
        dial_at = None if self._dialer is None else self._dialer.deadline()
        due += [] if dial_at is None else [dial_at]
        if self._commands.ending:
            due.append(now + self._timeouts.processes_interval)
        return max(0.0, min(due) - now) if due else None

    def _serve(self, leg: Leg, events: Dict[int, int]) -> None:
        try:
            leg.serve(events)
        except Exception as error:  # noqa: BLE001  (it must not end the other links)
            self._failure = error
            leg.fail()

    def _take_signals(self) -> None:
        for number in self._signals.take():
            if number in self._context.passed_on:
                self._context.log("got %s" % signal.Signals(number).name)
                self._commands.signal(number)
        self._commands.reap()
        if self._signals.stopped is not None:
            name = signal.Signals(self._signals.stopped).name
            self._stop_dialling()
            for leg in self._legs:
                leg.stop(name)

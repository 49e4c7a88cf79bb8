"""The flow of mlogin: reflector, link, job, session, exit status. Arguments are parsed elsewhere."""

from __future__ import annotations

import contextlib
import os
import socket
import time
import traceback
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from medusa.client import ledger as ledgers
from medusa.client.advice import Advice
from medusa.client.embedded import embedded_reflector
from medusa.client.escape import DEFAULT_CHARACTER
from medusa.client.interactive import Interactive, Screen
from medusa.client.launchers import LAUNCHERS
from medusa.client.launchers.base import JobRequest, Launcher, Settings
from medusa.client.ledger import Ledger
from medusa.client.link import Link
from medusa.client.outcome import OUTCOME_UNKNOWN, OWN_ERROR, Failure, Interrupted, status_of
from medusa.client.outlet import Outlet
from medusa.client.signals import Signals
from medusa.client.terminal import Terminal, window_size
from medusa.client.waiting import Wait
from medusa.guard import Guard
from medusa.protocol.control import Exit, Start
from medusa.protocol.printable import printable
from medusa.transports.base import Transport
from medusa.transports.dial import ConnectRefused, parse_url
from medusa.transports.websocket import connect, connect_over

CONNECT_TIMEOUT = 30.0
JOB_PATIENCE = 5.0
"""Seconds a job gets to end by itself when its session has ended."""

DEFAULT_TERM = "xterm"
_PROXIES = ("http_proxy", "https_proxy", "no_proxy")


@dataclass(frozen=True)
class Options:
    """What the command line says.

    Attributes:
        command: run by the shell instead of a login shell; None for the latter.
        escape: the escape character, None for none; DEFAULT_CHARACTER unless `escape_given`.
        reflector: base URL, None for an embedded one.
        wait_timeout: seconds to wait for the agent; None for as long as the reflector does.
    """

    command: str | None = None
    escape: bytes | None = DEFAULT_CHARACTER
    escape_given: bool = False
    quiet: bool = False
    launcher: str = "local"
    reflector: str | None = None
    insecure_tls: bool = False
    wait_timeout: float | None = None
    archive: str | None = None
    object: str | None = None


def run(options: Options) -> int:
    """The whole of mlogin; returns its exit status. Everything it started or changed is undone before it returns."""
    advice = Advice(quiet=options.quiet)
    login = Login(options, advice)
    try:
        return login.run()
    except Failure as failure:
        advice.error(str(failure))
        return failure.status
    except Interrupted as interrupted:
        advice.error(str(interrupted))
        return OUTCOME_UNKNOWN if login.started else OWN_ERROR
    except KeyboardInterrupt:  # before or after the signals were ours
        advice.error("ended by SIGINT")
        return OUTCOME_UNKNOWN if login.started else OWN_ERROR
    except Exception:  # noqa: BLE001 - every way out has a status of its own
        lines = traceback.format_exc().splitlines()
        advice.error("\n".join(["internal error", *map(printable, lines)]))
        return OUTCOME_UNKNOWN if login.started else OWN_ERROR


class Login:
    """One run of mlogin.

    Attributes:
        started: the agent was asked to run something.
    """

    def __init__(self, options: Options, advice: Advice) -> None:
        self._options = options
        self._advice = advice
        self._session = str(uuid.uuid4())
        self.started = False

    def run(self) -> int:
        """Returns the exit status of a session that ended well; raises Failure or Interrupted otherwise."""
        with contextlib.ExitStack() as stack:
            ledger = stack.enter_context(_ledger())
            signals = stack.enter_context(Signals())
            launcher = stack.enter_context(self._launcher(ledger))
            base = self._options.reflector or stack.enter_context(embedded_reflector(ledger, signals))
            link = self._attach(base, signals)
            stack.callback(link.abort)
            terminal = stack.enter_context(Terminal(0, ledger))
            outlet = Outlet(1)
            stack.callback(outlet.close)
            screen = Screen(terminal, outlet, self._advice, signals)
            self._submit(launcher, base)
            self._wait(link, launcher, screen)
            try:
                end = self._converse(link, launcher, screen, base)
                self._tell_end(end)
            finally:
                # The job ends by the link's end, which must come first.
                link.abort()
                launcher.finish(JOB_PATIENCE)
        return status_of(end)

    def _launcher(self, ledger: Ledger) -> Launcher:
        return LAUNCHERS[self._options.launcher](Settings(self._options.archive, self._options.object), ledger)

    def _attach(self, base: str, signals: Signals) -> Link:
        """The client attaches before there is a job: an agent without a client is refused."""
        url = session_url(base, self._session, "master")
        try:
            with signals.interruptible():
                transport = self._dial(url)
        except ConnectRefused as error:
            status = f" (HTTP status {error.status})" if error.status else ""
            raise Failure(f"cannot attach to {printable(base)}{status}: {printable(str(error))}") from error
        return Link(transport, time.monotonic)

    def _dial(self, url: str) -> Transport:
        if self._options.reflector:
            return connect(url, insecure_tls=self._options.insecure_tls, timeout=CONNECT_TIMEOUT)
        # No proxy leads to our own loopback.
        target = parse_url(url)
        try:
            sock = socket.create_connection((target.host, target.port), CONNECT_TIMEOUT)
        except OSError as error:
            raise ConnectRefused(str(error)) from error
        return connect_over(sock, target.netloc, target.target, time.monotonic() + CONNECT_TIMEOUT)

    def _submit(self, launcher: Launcher, base: str) -> None:
        proxies = {name: value for name, value in os.environ.items() if name.lower() in _PROXIES}
        request = JobRequest(
            session_url(base, self._session, "slave"),
            archive_url(base),
            self._options.insecure_tls,
            proxies if self._options.reflector else {},
        )
        launcher.submit(request)
        self._advice.answer(launcher.instructions())

    def _wait(self, link: Link, launcher: Launcher, screen: Screen) -> None:
        timeout = self._options.wait_timeout
        deadline = None if timeout is None else time.monotonic() + timeout
        Wait(link, launcher, self._advice, screen.signals, screen.terminal, time.monotonic, deadline).run()

    def _converse(self, link: Link, launcher: Launcher, screen: Screen, base: str) -> Exit:
        terminal = screen.terminal
        # Piped bytes are data, unless the user says otherwise.
        escaping = terminal.is_tty or self._options.escape_given
        character = self._options.escape if escaping else None
        session = Interactive(link, screen, character, self._info(link, launcher, base))
        self.started = True
        with terminal:
            terminal.make_raw()
            self._advice.raw = terminal.raw
            try:
                return session.run(self._start())
            finally:
                self._advice.raw = False

    def _start(self) -> Start:
        columns, lines = window_size()
        command = self._options.command
        arguments = ("--norc",) if command is None else ("-c", command)
        term = os.environ.get("TERM") or DEFAULT_TERM
        return Start("", term, columns, lines, "/bin/bash", arguments)

    def _info(self, link: Link, launcher: Launcher, base: str) -> Callable[[], Iterator[str]]:
        begun = time.monotonic()

        def lines() -> Iterator[str]:
            yield f"session    {self._session}"
            yield f"reflector  {printable(base)}" + ("" if self._options.reflector else " (embedded)")
            yield f"job        {launcher.describe()}: {launcher.poll().words}"
            yield f"for        {time.monotonic() - begun:.0f} s; {link.sent} bytes sent, {link.received} received"

        return lines

    def _tell_end(self, end: Exit) -> None:
        if end.signal is not None:
            self._advice.say(f"session ended by signal {printable(end.signal)}")
        else:
            self._advice.say("session complete")


@contextlib.contextmanager
def _ledger() -> Iterator[Ledger]:
    """A ledger with its guard, forked before anything is there to be guarded."""
    ledger = Ledger(Guard.start(ledgers.undo, keep_fds=[0] if os.isatty(0) else []))
    try:
        yield ledger
    finally:
        ledger.close()


def session_url(base: str, session: str, side: str) -> str:
    """Where a side of the session dials in; `side` as the route names it."""
    return f"{base.rstrip('/')}/attach/{session}/{side}"


def archive_url(base: str) -> str:
    """Where the reflector serves the agent's archive: plain HTTP, also beside a URL for websockets."""
    scheme, _, rest = base.rstrip("/").partition("://")
    return f"{scheme.lower().replace('ws', 'http')}://{rest}/agent.sh"

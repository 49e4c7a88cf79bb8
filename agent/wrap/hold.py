"""Keeps the machine of a failed step for a limited time, and gives one user after another a session there."""

from __future__ import annotations

import math
import time
from typing import Callable, Mapping, Optional
from urllib.parse import parse_qs, urlsplit

from agent.config.configuration import Config, ConfigError, load
from agent.config.manta_asset import delete_asset
from agent.dial.announce import Holding
from agent.dial.first import CONNECT_TIMEOUT, Unreachable, connector, jitter
from agent.dial.legs import LegDialer
from agent.log import log
from agent.process.context import Context
from agent.process.inherited import adopt_orphans
from agent.session.hold_time import HoldTime
from agent.session.home import ticket_of
from agent.session.loop import SessionLoop
from agent.timeouts import Timeouts
from agent.wrap.options import Options, client_command
from agent.wrap.wait import wait_for_client
from medusa.protocol.record import replace
from medusa.transports.base import Transport
from medusa.transports.dial import ConnectRefused
from medusa.transports.dial.headers import Headers

Connector = Callable[[str, bool, float, Headers, Optional[Holding]], Callable[[], Transport]]

_FORBIDDEN = (401, 403)
_CONFLICT = 409

_ONCE = "the URL is signed for one session; with --url-command there can be more"
_HELD = "This machine is held for %.0f s; others can come when you have left. To end the hold: kill $PPID\r\n"


class Hold:
    """Offers sessions to users for a limited time after a step has failed, so that they can look into it.

    Args:
        words: a text for the log that says how the step ended.
        context: what the sessions need. Its `environ` is the environment of the sessions.
        agent_environ: the agent's own environment.
        assets: the directory of the job's assets.
        preface: the bytes that each user is shown first.
    """

    def __init__(
        self,
        options: Options,
        words: str,
        context: Context,
        agent_environ: Mapping[str, str],
        assets: str,
        preface: bytes,
    ) -> None:
        self._words, self._context, self._preface = words, context, preface
        self._options = options
        self._target = Target(options, agent_environ, context.timeouts, incarnation=context.incarnation)
        delete_asset(self._target.config.path, agent_environ, log, assets)
        self._hold = options.hold if options.command else min(options.hold, lifetime(self._target.config.signed_url))
        self._told = ""

    def run(self) -> None:
        """Waits for users, and gives each a session, until the hold time is over or a signal asks the agent to stop.

        The hold time is Options.hold. A session that has begun may go on after it.

        Raises:
            Unreachable: no user came, or none can come, because the reflector refuses or does not answer.
            Stopped: a signal asked the agent to stop while it waited for a user.
        """
        adopt_orphans()
        clock, signals = self._context.clock, self._context.signals
        left, sessions = self._hold, 0
        until = clock() + left
        while left > 0 and signals.stopped is None:
            self._tell(left)
            try:
                link = self._wait(left)
            except Unreachable as error:
                if sessions == 0:
                    raise
                log("no further session: %s" % error)
                break
            session = self._session(link, until)
            self._run(session)
            sessions += session.clients
            left = until - clock() if not session.over and self._target.renew() else 0.0
        if sessions == 0 and signals.stopped is None:
            raise Unreachable("nobody came in %.0f s" % (self._hold - max(0.0, until - clock())))
        log("the hold is over; sessions: %d" % sessions)

    def _wait(self, left: float) -> Transport:
        signals = self._context.signals
        signals.raising = True
        try:
            signals.check()
            return wait_for_client(self._target.attempt, left, log, jitter)
        finally:
            signals.raising = False

    def _session(self, link: Transport, until: float) -> SessionLoop:
        """Returns the session that runs over `link`.

        If `link` is a home link (by which the reflector calls the agent to clients), the session lives until the time
        `until`. Otherwise it ends with its last client.
        """
        now, target = self._context.clock(), self._target
        hold = HoldTime(until, now, release=self._options.release, greeting=self._greet)
        held = ticket_of(link) is not None
        if not held:
            log("connected")
            if target.once:
                log(_ONCE)
        return SessionLoop(
            link,
            self._context,
            self._greet(max(0.0, until - now)),
            dialer=target.leg_dialer(),
            holding=target.holding,
            hold=hold if held else None,
        )

    def _greet(self, left: float) -> bytes:
        return self._preface + (_HELD % left).encode()

    def _run(self, session: SessionLoop) -> None:
        try:
            session.run()
        except Exception as error:  # noqa: BLE001  (the next visitor may have more luck)
            log("session over: %s" % type(error).__name__)

    def _tell(self, left: float) -> None:
        """Logs the command by which users reach the agent. Does nothing if the last call logged the same command.

        Args:
            left: seconds until the hold time (see Options.hold) is over.
        """
        url = self._target.config.signed_url
        command = client_command(url)
        if command == self._told:
            return
        self._told = command
        text = "step %s; holding for %.0f s; to look into it: %s"
        log(text % (self._words, left, command), self._context.timeouts.log_timeout)


class Target:
    """The reflector to dial. If a URL command prints the URL, the command runs again for each further URL.

    Another URL is needed when the last one was used for a session or is refused, for example because it has expired.

    Args:
        incarnation: names this process, so that the reflector can hold its session; "" to have nothing held.

    Attributes:
        config: the configuration with the current URL.
        holding: the request to hold the session that the last attempt has announced; None if there is none.
    """

    def __init__(
        self,
        options: Options,
        environ: Mapping[str, str],
        timeouts: Timeouts,
        connector: Connector = connector,
        incarnation: str = "",
    ) -> None:
        self._options, self._environ, self._timeouts, self._connector = options, environ, timeouts, connector
        self._used, self._tried = False, False
        self.holding = Holding(incarnation) if incarnation else None
        self.config = self._obtain()

    @property
    def once(self) -> bool:
        """True if the URL can be used only once, and no command prints another."""
        return self._options.command is None and is_signed(self.config.signed_url)

    def renew(self) -> bool:
        """Prepares for the next session. Returns False if there is no URL for that session.

        A signed URL can be used only once. If it came from a file, the file is read again, because the file may contain
        a new URL by now. If it came from a URL command, nothing is done: the command runs when a URL is needed.
        """
        if self._options.command is not None or not is_signed(self.config.signed_url):
            return True
        used = self.config
        try:
            fresh = load(used.path) if used.path else used
        except ConfigError:
            return False
        insecure = fresh.insecure_tls or used.insecure_tls
        self.config = replace(fresh, insecure_tls=insecure, headers=fresh.headers or used.headers)
        return fresh.signed_url != used.signed_url

    def attempt(self, left: float) -> Transport:
        """Dials the reflector once. Returns the link.

        Args:
            left: seconds until the wait for a client ends. The attempt may take a little longer.

        Raises:
            ConnectRefused: the attempt failed, or the command that prints a new URL failed.
        """
        timeout = max(1.0, min(CONNECT_TIMEOUT, left))
        if self.holding is not None:
            self.holding = self.holding._replace(seconds=max(1, int(left)))
        if self._used:
            self._obtain_another()
        try:
            return self._dial(timeout)
        except ConnectRefused as refused:
            # The URL may have expired, or an attempt that broke off may have used it up.
            if refused.status not in _FORBIDDEN or not self._tried or self._options.command is None:
                raise
        finally:
            self._tried = True
        self._obtain_another()
        return self._dial(timeout)

    def leg_dialer(self) -> LegDialer:
        """Returns a dialer for further clients of the current session."""
        found = self.config
        return LegDialer(found.signed_url, found.insecure_tls, log, found.headers)

    def _dial(self, timeout: float) -> Transport:
        try:
            found = self.config
            link = self._connector(found.signed_url, found.insecure_tls, timeout, found.headers, self.holding)()
        except ConnectRefused as refused:
            if refused.status == _CONFLICT:  # the last user's session is not closed yet
                raise ConnectRefused(str(refused), _CONFLICT) from None
            raise
        self._used = self._options.command is not None
        return link

    def _obtain(self) -> Config:
        return self._options.target(self._environ, self._timeouts.url_timeout)

    def _obtain_another(self) -> None:
        try:
            found = self._obtain()
        except ConfigError as error:
            raise ConnectRefused(str(error)) from None
        if self._used and found.signed_url == self.config.signed_url and is_signed(found.signed_url):
            raise ConnectRefused("the URL command has printed the URL that was used")  # a new one has another time
        self.config, self._used, self._tried = found, False, False


def is_signed(url: str) -> bool:
    """True if the URL is signed, so that only one session can use it."""
    return "signature" in parse_qs(urlsplit(url).query)


def lifetime(url: str) -> float:
    """Returns for how many seconds the URL is valid; infinity if that is unknown.

    Also returns infinity if the URL has expired by this machine's clock, because the clock may be wrong.
    """
    try:
        left = float(parse_qs(urlsplit(url).query)["expires"][0]) - time.time()
    except (KeyError, ValueError):
        return math.inf
    return left if left > 0 else math.inf

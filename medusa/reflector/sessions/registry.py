"""The sessions that live in this process, by name: open one for a client, join one as an agent."""

from __future__ import annotations

import gevent.event

from medusa.directory import DirectoryError, Owner, SessionExists
from medusa.reflector.config import ReflectorConfig
from medusa.reflector.metrics import Metrics
from medusa.reflector.refusal import Refusal, directory_away
from medusa.reflector.relay.fair_queue import FairQueue
from medusa.reflector.session_name import SessionName
from medusa.reflector.sessions.claims import Claims
from medusa.reflector.sessions.driver import Context, SessionDriver
from medusa.reflector.sessions.limits import Limits
from medusa.session import Input, State


class Registry:
    """All sessions of this process. A name is claimed in the directory for as long as its session lives.

    Attributes:
        draining: no new session may begin.
    """

    def __init__(self, config: ReflectorConfig, claims: Claims, metrics: Metrics, queue: FairQueue) -> None:
        self._config = config
        metrics.watch(self.sessions)
        self._claims = claims
        self._claims.on_lost = self._claim_lost
        self._sessions: dict[SessionName, SessionDriver] = {}
        self._empty = gevent.event.Event()
        self._empty.set()
        self.draining = False
        self._limits = Limits(config)
        self._context = Context(config, queue, metrics, self)
        self._waiting: dict[SessionName, tuple[tuple[str, str], ...]] = {}  # the keys under which each is counted

    def open(self, name: SessionName, address: str, source: str | None = None) -> SessionDriver:
        """Make a session for the client at `address`. Its upgrade is to follow: then call `attach`, or tell
        CLIENT_REFUSED. Waits for the directory.

        Args:
            source: the address under which it is counted; None if it is not.

        Raises:
            Refusal: 409 the id is taken, 429 too many wait, 503 no new sessions now.
        """
        self._refuse_while_draining()
        if 0 < self._config.max_sessions <= len(self._sessions):
            words = "this reflector has as many sessions as it may (--max-sessions)"
            raise Refusal(503, words, retry_after=5, limited=True)
        keys = self._limits.wait(address=source, login=name.login)
        try:
            self._claim(name)
        except BaseException:
            self._limits.stop_waiting(keys)
            raise
        session = SessionDriver(name, self._context, address)
        self._waiting[name] = keys
        self._sessions[name] = session
        self._empty.clear()
        return session

    def _claim(self, name: SessionName) -> None:
        try:
            self._claims.take(name)
        except SessionExists:
            raise Refusal(409, "the session has a client already") from None
        except DirectoryError:
            raise directory_away() from None
        try:
            self._refuse_while_draining()  # it may have begun while the directory was asked
        except Refusal:
            self._claims.release_now(name)
            raise

    def _refuse_while_draining(self) -> None:
        if self.draining:
            raise Refusal(503, "this reflector is shutting down", retry_after=5)

    def connect(self, *, source: str | None = None, login: str | None = None) -> None:
        """Count a peer that wants to attach, by its address or by its proven login. Raises Refusal, 429."""
        self._limits.connect(address=source, login=login)

    def stop_waiting(self, session: SessionDriver) -> None:
        """The session's agent came, or it is over. Idempotent."""
        self._limits.stop_waiting(self._waiting.pop(session.name, ()))

    def join(self, name: SessionName) -> SessionDriver:
        """The session that an agent may join. Its place is kept: after its upgrade call `attach`, or tell
        AGENT_REFUSED.

        Raises:
            Refusal: 404 there is no such session, 409 it has an agent, or is over.
        """
        session = self._sessions.get(name)
        if session is None or session.machine.state is State.CLAIMED:
            raise Refusal(404, "there is no such session")
        if not session.expect_agent():
            raise Refusal(409, "the session has an agent already, or is closing")
        return session

    def forget(self, session: SessionDriver) -> None:
        """The session is over: release its name. Idempotent."""
        if self._sessions.get(session.name) is not session:
            return
        self.stop_waiting(session)
        del self._sessions[session.name]
        if not self._sessions:
            self._empty.set()
        self._claims.release(session.name)

    def elsewhere(self, name: SessionName) -> Owner | None:
        """The other reflector in which a session lives; None if it lives here, or nowhere.

        Raises:
            Refusal: 503, the directory is away.
        """
        try:
            return self._claims.elsewhere(name)
        except DirectoryError:
            raise directory_away() from None

    def of_others(self, limit: int) -> dict[SessionName, Owner]:
        """The sessions of other reflectors and their owners, `limit` at most. Raises Refusal, 503."""
        try:
            return {SessionName.read(name): owner for name, owner in self._claims.of_others(limit).items()}
        except DirectoryError:
            raise directory_away() from None

    def sessions(self) -> list[SessionDriver]:
        """All sessions, oldest first."""
        return list(self._sessions.values())

    def unready(self) -> str:
        """Why no new session can begin here; "" if one can. Waits for the directory."""
        if self.draining:
            return "this reflector is shutting down"
        try:
            self._claims.check()
        except DirectoryError as error:
            return "the directory is away: %s" % error
        return ""

    def shut_down(self) -> None:
        """End every session; returns when all are over."""
        self.draining = True
        live = self.sessions()
        for session in live:
            session.tell(Input.SHUTDOWN)
        self.wait_until_empty()
        self._claims.finish()

    def wait_until_empty(self, timeout: float | None = None) -> None:
        """Wait until no session is left, `timeout` seconds at most."""
        self._empty.wait(timeout)

    def _claim_lost(self, name: SessionName) -> None:
        session = self._sessions.get(name)
        if session is not None:
            session.tell(Input.CLAIM_LOST)

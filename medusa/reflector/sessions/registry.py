"""The sessions that live in this reflector: who may attach, and what there is."""

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
    """Sessions by name. A name is claimed in `directory` for as long as its session lives.

    Attributes:
        claims: on those names.
    """

    def __init__(self, config: ReflectorConfig, claims: Claims, metrics: Metrics, queue: FairQueue) -> None:
        self._config = config
        metrics.watch(self.sessions)
        self._claims = claims
        self._claims.on_lost = self._lose
        self._sessions: dict[SessionName, SessionDriver] = {}
        self._empty = gevent.event.Event()
        self._empty.set()
        self.draining = False
        self._limits = Limits(config)
        self._context = Context(config, queue, metrics, self)
        self._waits_as: dict[SessionName, tuple[tuple[str, str], ...]] = {}  # what limits a waiting session counts for

    def open(self, name: SessionName, address: str, source: str | None = None) -> SessionDriver:
        """A new session for the client at `address`, whose upgrade is to follow.

        Args:
            source: under what its address is counted, None for not at all.

        Raises:
            Refusal: 409 the id is taken, 429 too many wait, 503 no new sessions now.
        """
        self._refuse_while_draining()
        if 0 < self._config.max_sessions <= len(self._sessions):
            words = "this reflector has as many sessions as it may (--max-sessions)"
            raise Refusal(503, words, retry_after=5, limited=True)
        waits_as = self._limits.wait(address=source, login=name.login)
        try:
            self._claim(name)
        except BaseException:
            self._limits.waits_no_more(waits_as)
            raise
        session = SessionDriver(name, self._context, address)
        self._waits_as[name] = waits_as
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
            self._claims.undo(name)
            raise

    def _refuse_while_draining(self) -> None:
        if self.draining:
            raise Refusal(503, "this reflector is shutting down", retry_after=5)

    def connect(self, *, source: str | None = None, login: str | None = None) -> None:
        """Somebody wants to attach: an address, or, once that is proven, a login. Raises Refusal, 429."""
        self._limits.connect(address=source, login=login)

    def waits_no_more(self, session: SessionDriver) -> None:
        """Its agent came, or it is over. Idempotent."""
        self._limits.waits_no_more(self._waits_as.pop(session.name, ()))

    def join(self, name: SessionName) -> SessionDriver:
        """The session that an agent, whose upgrade is to follow, may join. The place is kept for it.

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
        """The session is over: its id is free. Idempotent."""
        if self._sessions.get(session.name) is not session:
            return
        self.waits_no_more(session)
        del self._sessions[session.name]
        if not self._sessions:
            self._empty.set()
        self._claims.drop(session.name)

    def elsewhere(self, name: SessionName) -> Owner | None:
        """The other reflector that a session lives in, None for this or none.

        Raises:
            Refusal: 503 nobody knows now.
        """
        try:
            return self._claims.elsewhere(name)
        except DirectoryError:
            raise directory_away() from None

    def of_others(self, limit: int) -> dict[SessionName, Owner]:
        """The sessions of other reflectors, `limit` of them at the most. Raises Refusal, 503."""
        try:
            return {SessionName.read(name): owner for name, owner in self._claims.of_others(limit).items()}
        except DirectoryError:
            raise directory_away() from None

    def sessions(self) -> list[SessionDriver]:
        """All of them, oldest first."""
        return list(self._sessions.values())

    def unready(self) -> str:
        """Why no new session may come here; "" where one may."""
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
        """Until no session is left, at the most `timeout` seconds."""
        self._empty.wait(timeout)

    def _lose(self, name: SessionName) -> None:
        session = self._sessions.get(name)
        if session is not None:
            session.tell(Input.CLAIM_LOST)

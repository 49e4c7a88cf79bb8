"""The sessions that live in this reflector: who may attach, and what there is."""

from __future__ import annotations

import gevent
import gevent.event

from medusa.directory import Directory, DirectoryError, Owner, SessionExists
from medusa.reflector.claims import Claims
from medusa.reflector.config import ReflectorConfig
from medusa.reflector.live import LiveSession
from medusa.reflector.names import SessionName
from medusa.reflector.turns import Turns
from medusa.session import Input, State


class Refused(Exception):
    """Not attached, with the HTTP status that says why. `retry_after`: seconds, 0 for no such advice."""

    def __init__(self, http_status: int, reason: str, retry_after: int = 0) -> None:
        super().__init__(reason)
        self.http_status = http_status
        self.retry_after = retry_after


class Registry:
    """Sessions by name. A name is claimed in `directory` for as long as its session lives.

    Attributes:
        claims: on those names.
    """

    def __init__(self, config: ReflectorConfig, directory: Directory, owner: Owner) -> None:
        self._config = config
        self.claims = Claims(directory, owner, self._lose)
        self._sessions: dict[SessionName, LiveSession] = {}
        self._empty = gevent.event.Event()
        self._empty.set()
        self.draining = False
        self.turns = Turns(gevent.get_hub().loop)

    def open(self, name: SessionName, address: str) -> LiveSession:
        """A new session for the client at `address`, whose upgrade is to follow.

        Raises:
            Refused: 409 the id is taken, 503 no new sessions now.
        """
        self._refuse_while_draining()
        try:
            self.claims.take(name)
        except SessionExists:
            raise Refused(409, "the session has a client already") from None
        except DirectoryError:
            raise directory_away() from None
        try:
            self._refuse_while_draining()  # it may have begun while the directory was asked
            session = LiveSession(name, self._config, self, address)
        except BaseException:
            self.claims.drop(name)
            raise
        self._sessions[name] = session
        self._empty.clear()
        return session

    def join(self, name: SessionName) -> LiveSession:
        """The session that an agent, whose upgrade is to follow, may join. The place is kept for it.

        Raises:
            Refused: 404 there is no such session, 409 it has an agent, or is over.
        """
        session = self._sessions.get(name)
        if session is None or session.machine.state is State.CLAIMED:
            raise Refused(404, "there is no such session")
        if session.agent_expected or session.machine.state is not State.WAITING:
            raise Refused(409, "the session has an agent already, or is closing")
        session.agent_expected = True
        return session

    def forget(self, session: LiveSession) -> None:
        """The session is over: its id is free. Idempotent."""
        if self._sessions.get(session.name) is not session:
            return
        del self._sessions[session.name]
        if not self._sessions:
            self._empty.set()
        self.claims.drop(session.name)

    def elsewhere(self, name: SessionName) -> Owner | None:
        """The other reflector that a session lives in, None for this or none.

        Raises:
            Refused: 503 nobody knows now.
        """
        try:
            return self.claims.elsewhere(name)
        except DirectoryError:
            raise directory_away() from None

    def sessions(self) -> list[LiveSession]:
        """All of them, oldest first."""
        return list(self._sessions.values())

    def shut_down(self) -> None:
        """End every session; returns when all are over."""
        self.draining = True
        live = self.sessions()
        for session in live:
            session.tell(Input.SHUTDOWN)
        self.wait_until_empty()
        self.claims.finish()

    def wait_until_empty(self, timeout: float | None = None) -> None:
        """Until no session is left, at the most `timeout` seconds."""
        self._empty.wait(timeout)

    def _refuse_while_draining(self) -> None:
        if self.draining:
            raise Refused(503, "this reflector is shutting down", retry_after=5)

    def _lose(self, name: SessionName) -> None:
        session = self._sessions.get(name)
        if session is not None:
            session.tell(Input.CLAIM_LOST)


def directory_away() -> Refused:
    """What is said to who needs the directory."""
    return Refused(503, "sessions cannot be registered or found at the moment", retry_after=5)

"""Opens sessions, and lets peers into sessions that exist."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import NamedTuple

import gevent.event

from medusa.directory import BrokenEntry, DirectoryError, Owner, SessionExists
from medusa.reflector.refusal import Refusal, broken_entry, directory_away, shutting_down
from medusa.reflector.session_name import SessionName
from medusa.reflector.sessions.claims.names import Claims
from medusa.reflector.sessions.held import HeldSessions
from medusa.reflector.sessions.life.home import Home
from medusa.reflector.sessions.life.session import HAS_CLIENT, Session
from medusa.reflector.sessions.limits import Limits
from medusa.reflector.sessions.owners import THIS_SESSION, Elsewhere, Owners
from medusa.reflector.sessions.pair.driver import Pair
from medusa.reflector.sessions.pair.runner import Context
from medusa.reflector.tickets.ticket import Ticket
from medusa.session import Side

NO_SESSION = "there is no such session"
DISPLACED = "another reflector has this one's address (--advertise)"


class _Opening(NamedTuple):
    side: Side
    done: gevent.event.Event


class Openings:
    """Remembers which sessions are just being opened, and whether a client or an agent opens each."""

    def __init__(self) -> None:
        self._openings: dict[SessionName, _Opening] = {}

    def wait(self, name: SessionName, side: Side) -> None:
        """Waits while another peer is opening the session `name`, until it has succeeded or failed.

        If both peers are clients, returns at once: the second client will be refused. `side`: the side of the peer that
        waits.
        """
        while (opening := self._openings.get(name)) is not None and Side.AGENT in (side, opening.side):
            opening.done.wait()

    @contextlib.contextmanager
    def enter(self, name: SessionName, side: Side) -> Iterator[None]:
        """Context manager: the `with` block opens the session `name` for a peer at `side`.

        Raises Refusal (409) if another peer is opening the session. Until the block has ended, `wait` lets other peers
        wait.
        """
        if name in self._openings:
            raise Refusal(409, HAS_CLIENT)
        self._openings[name] = opening = _Opening(side, gevent.event.Event())
        try:
            yield
        finally:
            del self._openings[name]
            opening.done.set()


class Opener(Owners):
    """The base class of the registry. Opens sessions, and lets peers into sessions that exist.

    A subclass has the method `forget`.

    Attributes:
        draining: True if the reflector is shutting down: no new session may begin.
        held: remembers the agents that have asked for a session which does not exist yet.
    """

    def __init__(self, context: Context, claims: Claims) -> None:
        super().__init__(claims)
        self.draining = False
        self.held = HeldSessions(context.config.timeouts.held_timeout)
        self._context = context
        self._limits = Limits(context.config)
        self._sessions: dict[SessionName, Session] = {}
        self._openings = Openings()
        self._empty = gevent.event.Event()
        self._empty.set()

    def forget(self, session: Session) -> None:
        """Removes `session`, which is over, and releases its name."""
        raise NotImplementedError

    def open(
        self,
        name: SessionName,
        address: str,
        source: str | None = None,
        back: Ticket | None = None,
        gone: Owner | None = None,
    ) -> Pair:
        """Creates a session for the client at `address`, and returns its pair. Blocks until the directory answers.

        If the session exists, an agent holds it, and it has no client, adds a pair to this session and returns the
        pair.

        The caller upgrades the client's connection next. Then it calls the pair's `attach`, or `refuse` if the upgrade
        failed.

        Args:
            source: the address under which the limits count the client; None not to count it under an address.
            back: what the client's ticket says; None if it has none. If the session was linked before, the client then
                waits for the agent that holds it.
            gone: another reflector, which owned the session and cannot be reached. See Claims.take.

        Raises:
            Elsewhere: the session lives in another reflector.
            Refusal: 409 if the name is taken, 429 or 503 if a limit is reached, 503 if no new session can begin now.
        """
        self._refuse_while_draining()
        session = self._opened(name, Side.CLIENT)
        if session is not None:
            return self._enter(session, address, source, joins=False)
        # The place is reserved first: other clients may come while the directory answers.
        place, held = self._limits.enter(address=source, login=name.login), None
        try:
            if back is not None and back.linked_at:
                held = self._limits.hold(name.login)
            session = self._begin(name, Side.CLIENT, address, back, gone)
        except BaseException:
            for each in (place, held):
                if each is not None:
                    each.leave()
            raise
        if held is not None and back is not None:
            session.expect_return(held, back.hold)
        return session.add(place, address)

    def join(
        self,
        name: SessionName,
        address: str,
        source: str | None = None,
        back: Ticket | None = None,
        gone: Owner | None = None,
    ) -> Pair:
        """Adds the client at `address` to a session, and returns its pair. The agent will be asked to connect for this
        client.

        If there is no such session, a client with a ticket opens it. The arguments, and what the caller does next, are
        the same as for `open`.

        Raises:
            Elsewhere: the session lives in another reflector.
            Refusal: 404 if there is no such session. 409 if it has no agent that takes further clients. 429 or 503 if a
                limit is reached. 503 if this reflector is shutting down.
        """
        if self.draining:
            raise shutting_down()
        session = self._opened(name, Side.CLIENT)
        if session is not None:
            return self._enter(session, address, source, joins=True)
        if back is None:
            raise Refusal(404, NO_SESSION)
        return self.open(name, address, source, back, gone)

    def hold(
        self,
        name: SessionName,
        address: str,
        hold: float,
        incarnation: str,
        back: Ticket | None = None,
        gone: Owner | None = None,
    ) -> Home:
        """Lets the agent at `address` hold the session `name`, that is, keep it alive while there is no client.

        Creates the session if there is none. Blocks until the directory answers. Returns the Home for the agent's
        connection. The caller upgrades the connection next. Then it calls `attach` of the Home, or `refuse` if the
        upgrade failed.

        Args:
            hold: for how many seconds the session is to live on while the agent is away.
            incarnation: the id of the agent's process. If the session has a connection of the same process, the new one
                replaces it.
            back: what the agent's ticket says; None if it has none.
            gone: another reflector, which owned the session and cannot be reached. See Claims.take.

        Raises:
            Elsewhere: the session lives in another reflector.
            Refusal: 409 if the session has another agent, or is closing. 429 or 503 if a limit is reached, 503 if no
                new session can begin now.
        """
        self._refuse_while_draining()
        session = self._opened(name, Side.AGENT)
        place = self._limits.hold(name.login) if session is None or not session.is_held else None
        try:
            session = session or self._begin(name, Side.AGENT, address, back, gone)
            home = session.expect_home(place, hold, incarnation)
        except BaseException:
            if place is not None:
                place.leave()
            raise
        session.come_back(back)
        self.held.forget(name)
        return home

    def can_hold(self, name: SessionName) -> bool:
        """Returns False if an agent must not begin to hold the session `name`, because too many sessions are held.

        An agent that holds its session keeps it alive without a client. Always returns True if the session does not
        exist, or is held already. See Limits.hold.
        """
        session = self._sessions.get(name)
        return session is None or session.is_held or self._limits.can_hold(name.login)

    def _enter(self, session: Session, address: str, source: str | None, joins: bool) -> Pair:
        session.check_join(joins)
        return session.add(self._limits.enter(address=source, login=session.name.login), address)

    def _opened(self, name: SessionName, side: Side) -> Session | None:
        """Returns the session `name`; None if there is none. If another peer is just opening it, may wait for that.

        `side`: the side of the peer that asks; see Openings.wait.
        """
        self._openings.wait(name, side)
        return self._sessions.get(name)

    def _begin(self, name: SessionName, side: Side, address: str, back: Ticket | None, gone: Owner | None) -> Session:
        """Reserves `name` in the directory, and creates the session. Blocks until the directory answers.

        `side`, `address`: the side and the address of the peer that opens it. For the other arguments see `open`.
        """
        with self._openings.enter(name, side):
            self._claim(name, gone)
            try:
                # The reflector in which a session ends records its end before it releases the name. So this check,
                # after the claim, finds each recorded end.
                if back is not None:
                    self._context.desk.check_not_over(name, back)
                self._refuse_while_draining()  # draining may have begun while the directory was asked
            except BaseException:
                self._claims.release_now(name)
                raise
            session = self._sessions[name] = Session(name, self._context, self, side, address, back)
        session.come_back(back)
        self._empty.clear()
        return session

    def _claim(self, name: SessionName, gone: Owner | None) -> None:
        try:
            self._claims.take(name, gone)
        except SessionExists as held:
            if held.owner != self._claims.owner:
                raise Elsewhere(held.owner) from None
            raise Refusal(409, HAS_CLIENT) from None
        except BrokenEntry as error:
            raise broken_entry(THIS_SESSION, error) from None
        except DirectoryError:
            raise directory_away() from None

    def _refuse_while_draining(self) -> None:
        if self.draining:
            raise shutting_down()
        if self._claims.displaced:
            raise Refusal(503, DISPLACED, self._claims.displaced, retry_after=5)

"""All sessions that live in this process, by name: opens one for a client, and adds agents and further clients."""

from __future__ import annotations

import gevent.event

from medusa.directory import BrokenEntry, DirectoryError, Owner, SessionExists
from medusa.protocol.http.about import NOTHING, About
from medusa.reflector.config import ReflectorConfig
from medusa.reflector.metrics import Metrics
from medusa.reflector.refusal import Refusal, broken_entry, directory_away
from medusa.reflector.relay.budget import Budget
from medusa.reflector.relay.fair_queue import FairQueue
from medusa.reflector.session_name import SessionName
from medusa.reflector.sessions.claims.names import Claims
from medusa.reflector.sessions.held import HeldSessions
from medusa.reflector.sessions.limits import Limits
from medusa.reflector.sessions.pair.driver import Pair
from medusa.reflector.sessions.pair.runner import Context
from medusa.reflector.sessions.session import Session
from medusa.reflector.tickets.desk import SessionTickets, TicketDesk
from medusa.session import Input, Side, State

NO_SESSION = "there is no such session"
_THIS_SESSION = "this session"
_DISPLACED = "another reflector has this one's address (--advertise)"


class Registry:
    """The sessions of this process. The name of each is claimed in the directory as long as the session lives.

    Attributes:
        draining: True if no new session may begin.
        budget: counts the memory that peers make this process hold.
        desk: gives tickets, and checks them.
        held: the sessions that do not exist yet, and whose agents ask for them again and again.
    """

    def __init__(
        self,
        config: ReflectorConfig,
        claims: Claims,
        metrics: Metrics,
        queue: FairQueue,
        desk: TicketDesk | None = None,
    ) -> None:
        self._config = config
        metrics.watch(self.sessions)
        self._claims = claims
        self._claims.on_lost = self._claim_lost
        self._sessions: dict[SessionName, Session] = {}
        self._empty = gevent.event.Event()
        self._empty.set()
        self.draining = False
        self._limits = Limits(config)
        self.budget = Budget(config.held_in_all, config.held_per_login)
        metrics.watch_memory(lambda: (self.budget.used, self.budget.refusals))
        self.desk = desk or TicketDesk.of_this_process(config)
        self._context = Context(config, queue, metrics, self.budget, self.desk)
        self.held = HeldSessions(config.timeouts.held_timeout)

    def open(self, name: SessionName, address: str, source: str | None = None) -> Pair:
        """Creates a session for the client at `address`, and returns its pair. Blocks until the directory answers.

        Upgrade the client's connection next. Then call the pair's `attach`. If the upgrade fails, pass CLIENT_REFUSED
        to the pair's `tell` instead.

        Args:
            source: the address under which the limits count the client; None not to count it under an address.

        Raises:
            Refusal: 409 if the name is taken, 429 or 503 if a limit is reached, 503 if no new session can begin now.
        """
        self._refuse_while_draining()
        # The place is reserved first: other clients may come while the directory answers.
        place = self._limits.enter(address=source, login=name.login)
        try:
            self._claim(name)
            session = Session(name, self._context, place, address, self)
        except BaseException:
            place.leave()
            raise
        self._sessions[name] = session
        self._empty.clear()
        return session.pairs[0]

    def join(self, name: SessionName, address: str, source: str | None = None) -> Pair:
        """Adds the client at `address` to a linked session, and returns its pair. The session's agent will be called.

        Upgrade the client's connection next. Then call the pair's `attach`. If the upgrade fails, pass CLIENT_REFUSED
        to the pair's `tell` instead. `source`: see `open`.

        Raises:
            Refusal: 404 if there is no such session, 409 if it has no agent that takes further clients, 429 or 503 if
                a limit is reached, 503 if this reflector is shutting down.
        """
        if self.draining:
            raise _shutting_down()
        session = self._sessions.get(name)
        if session is None:
            raise Refusal(404, NO_SESSION)
        session.check_join()
        return session.join(self._limits.enter(address=source, login=name.login), address)

    def _claim(self, name: SessionName) -> None:
        try:
            self._claims.take(name)
        except SessionExists:
            raise Refusal(409, "the session has a client already") from None
        except BrokenEntry as error:
            raise broken_entry(_THIS_SESSION, error) from None
        except DirectoryError:
            raise directory_away() from None
        try:
            self._refuse_while_draining()  # draining may have begun while the directory was asked
        except Refusal:
            self._claims.release_now(name)
            raise

    def _refuse_while_draining(self) -> None:
        if self.draining:
            raise _shutting_down()
        if self._claims.displaced:
            raise Refusal(503, _DISPLACED, self._claims.displaced, retry_after=5)

    def connect(
        self, *, source: str | None = None, proved: SessionName | None = None, side: Side = Side.CLIENT
    ) -> None:
        """Counts a peer that wants to attach at `side`. Raises Refusal (429) if there were too many in the last minute.

        Args:
            source: the key of the address under which the peer is counted; None not to count it under an address.
            proved: the session for which the peer has shown a valid signature. The peer is counted under this session,
                and under its login. None if the peer has shown no signature.
        """
        login, session = (proved.login, str(proved)) if proved else (None, None)
        self._limits.connect(address=source, login=login, session=session, side=side)

    def forgive(self, side: Side, *, source: str | None = None, joined: SessionName | None = None) -> None:
        """Stops counting a peer that `connect` has counted. Call this after the peer was let in.

        Args:
            source: for an agent that was called: the key of its address. It needs no count, because there is only one
                such agent for each client.
            joined: for a client that has joined: the session. The number of its clients has a limit of its own.
        """
        self._limits.give_back(side, address=source, session=str(joined) if joined is not None else None)

    def come_back(self, name: SessionName, side: Side) -> None:
        """Counts a peer that comes back by a valid ticket. Raises Refusal (429) if there were too many."""
        self._limits.come_back(login=name.login, session=str(name), side=side)

    def tickets_of(self, name: SessionName) -> SessionTickets | None:
        """Returns what gives the tickets of a session that lives here. None if it does not live here."""
        session = self._sessions.get(name)
        return session.tickets if session is not None else None

    def birth_of(self, name: SessionName) -> str:
        """Returns what names the session among all of that name (see Ticket); "" if it does not live here."""
        tickets = self.tickets_of(name)
        return tickets.birth if tickets is not None else ""

    def add_agent(self, name: SessionName, address: str = "", leg_id: str = "", about: About = NOTHING) -> Pair:
        """Returns the pair that the agent at `address` wants to be linked to, and reserves the agent's place in it.

        Upgrade the agent's connection next. Then call the pair's `attach`. If the upgrade fails, pass AGENT_REFUSED to
        the pair's `tell` instead.

        Args:
            leg_id: the value that the agent got when it was asked to dial for a client that has joined; "" for the
                agent of the pair that opened the session.

        Raises:
            Refusal: 404 if there is no such session, 409 if it has an agent already or is closing, 403 if no client
                waits for `leg_id`.
        """
        session = self._sessions.get(name)
        if leg_id:
            return _called(session, leg_id)
        if session is None or session.state is State.CLAIMED:
            self.held.note(name, address, about)
            raise Refusal(404, NO_SESSION)
        pair = session.pairs[0]
        if pair.leg_id or not pair.expect_agent():
            raise Refusal(409, "the session has an agent already, or is closing")
        self.held.forget(name)
        return pair

    def forget(self, session: Session) -> None:
        """Removes a session that is over, and releases its name."""
        del self._sessions[session.name]
        if not self._sessions:
            self._empty.set()
        session.tickets.ended()
        self._claims.release(session.name)

    def elsewhere(self, name: SessionName) -> Owner | None:
        """Returns the other reflector in which a session lives. None if it lives here, or does not exist.

        Raises:
            Refusal: 503, the directory does not answer, or has an entry that cannot be used.
        """
        try:
            return self._claims.elsewhere(name)
        except BrokenEntry as error:
            raise broken_entry(_THIS_SESSION, error) from None
        except DirectoryError:
            raise directory_away() from None

    def others(self, limit: int) -> list[Owner]:
        """Returns up to `limit` other reflectors that share the directory, even if they have no sessions.

        Raises Refusal (503) if the directory does not answer.
        """
        try:
            return self._claims.other_reflectors(limit)
        except DirectoryError:
            raise directory_away() from None

    def of_others(self, limit: int) -> dict[SessionName, Owner | None]:
        """Returns up to `limit` sessions of other reflectors, each with its owner.

        The owner is None if the session's entry is broken. Raises Refusal (503) if the directory does not answer.
        """
        try:
            return {SessionName.read(name): owner for name, owner in self._claims.of_others(limit).items()}
        except DirectoryError:
            raise directory_away() from None

    def sessions(self) -> list[Session]:
        """Returns all sessions of this process, oldest first."""
        return list(self._sessions.values())

    def unready(self) -> str:
        """Returns why no new session can begin here, or "" if one can. Blocks until the directory answers."""
        if self.draining:
            return "this reflector is shutting down"
        if self._claims.displaced:
            return _DISPLACED
        try:
            self._claims.check()
        except DirectoryError as error:
            return "the directory is away: %s" % error
        return ""

    def drain(self, end: float) -> None:
        """Begins no further session. Ends all sessions at `end`, a time.monotonic(), after notices to their users."""
        self.draining = True
        for session in self.sessions():
            session.drain(end)

    def shut_down(self) -> None:
        """Ends every session. Returns when all are over."""
        self.draining = True
        live = self.sessions()
        for session in live:
            session.tell(Input.SHUTDOWN)
        self.wait_until_empty()
        self._claims.finish()

    def wait_until_empty(self, timeout: float | None = None) -> None:
        """Waits until no session is left, at most `timeout` seconds."""
        self._empty.wait(timeout)

    def _claim_lost(self, name: SessionName) -> None:
        session = self._sessions.get(name)
        if session is not None:
            session.tell(Input.CLAIM_LOST)


def _called(session: Session | None, leg_id: str) -> Pair:
    """Returns the pair that `leg_id` names, and reserves the agent's place in it.

    Raises Refusal (403) if no client waits for it, or if there is no such session: the peer must not learn which.
    """
    pair = session.find(leg_id) if session is not None else None
    if pair is None or not pair.expect_agent():
        raise Refusal(403, "no client waits for this leg", secret=True)
    return pair


def _shutting_down() -> Refusal:
    return Refusal(503, "this reflector is shutting down", retry_after=5)

"""Finds the sessions of this process by name. Opens them for clients, and adds agents and further clients."""

from __future__ import annotations

import gevent

from medusa.directory import DirectoryError
from medusa.protocol.http.about import NOTHING, About
from medusa.reflector.config import ReflectorConfig
from medusa.reflector.metrics import Metrics
from medusa.reflector.refusal import Refusal
from medusa.reflector.relay.budget import Budget
from medusa.reflector.relay.fair_queue import FairQueue
from medusa.reflector.session_name import SessionName
from medusa.reflector.sessions.claims.names import Claims
from medusa.reflector.sessions.life.holding import HAS_AGENT
from medusa.reflector.sessions.life.session import Session
from medusa.reflector.sessions.opening import DISPLACED, NO_SESSION, Opener
from medusa.reflector.sessions.pair.driver import Pair
from medusa.reflector.sessions.pair.runner import Context
from medusa.reflector.tickets.desk import SessionTickets, TicketDesk
from medusa.session import Input, Side, State


class Registry(Opener):
    """Holds the sessions of this process, by name. The directory reserves each name for this reflector.

    Attributes:
        draining: True if the reflector is shutting down: no new session may begin.
        budget: counts the memory that peers make this process hold.
        desk: gives tickets, and checks them.
        held: remembers the agents that have asked for a session which does not exist yet.
    """

    def __init__(
        self,
        config: ReflectorConfig,
        claims: Claims,
        metrics: Metrics,
        queue: FairQueue,
        desk: TicketDesk | None = None,
    ) -> None:
        self.budget = Budget(config.held_in_all, config.held_per_login)
        self.desk = desk or TicketDesk.of_this_process(config)
        super().__init__(Context(config, queue, metrics, self.budget, self.desk), claims)
        claims.on_lost = self._claim_lost
        metrics.watch(self.sessions)
        metrics.watch_memory(lambda: (self.budget.used, self.budget.refusals))

    def connect(
        self, *, source: str | None = None, proved: SessionName | None = None, side: Side = Side.CLIENT
    ) -> None:
        """Counts an attempt of a peer to attach. Raises Refusal (429) if there were too many in the last minute.

        Args:
            source: the key of the address under which the peer is counted; None not to count it under an address.
            proved: the session for which the peer has shown a valid signature. The peer is counted under this session,
                and under its login. None if the peer has shown no signature.
            side: whether the peer is a client or an agent. The two are counted separately.
        """
        login, session = (proved.login, str(proved)) if proved else (None, None)
        self._limits.connect(address=source, login=login, session=session, side=side)

    def forgive(self, side: Side, *, source: str | None = None, joined: SessionName | None = None) -> None:
        """Undoes a part of `connect` for a peer that was let in: it no longer counts under an address or a session.

        Call this for a peer to which another limit applies.

        Args:
            source: for an agent that was asked to connect for a client: the key of the agent's address. There is only
                one such agent for each client.
            joined: for a client that has joined a session: the session. The number of its clients has a limit.
        """
        self._limits.give_back(side, address=source, session=str(joined) if joined is not None else None)

    def come_back(self, name: SessionName, side: Side) -> None:
        """Counts a peer that comes back to the session `name` with a valid ticket.

        Raises Refusal (429) if there were too many in the last minute.
        """
        self._limits.come_back(login=name.login, session=str(name), side=side)

    def tickets_of(self, name: SessionName) -> SessionTickets | None:
        """Returns the object that makes the tickets of the session `name`. None if the session does not live here."""
        session = self._sessions.get(name)
        return session.tickets if session is not None else None

    def birth_of(self, name: SessionName) -> str:
        """Returns the random id that a session gets at its start; "" if the session `name` does not live here.

        The id tells the session apart from others that have the same name, one after another. See Ticket.
        """
        tickets = self.tickets_of(name)
        return tickets.birth if tickets is not None else ""

    def add_agent(self, name: SessionName, address: str = "", leg_id: str = "", about: About = NOTHING) -> Pair:
        """Returns the pair that the agent at `address` is to be linked in, and reserves the agent's place in it.

        The caller upgrades the agent's connection next. Then it calls the pair's `attach`, or `refuse` if the upgrade
        failed.

        Args:
            leg_id: the id that the agent got when it was asked to connect for a client that has joined; "" for the
                agent of the pair that opened the session.
            about: the agent's description of itself. It is kept if there is no such session yet.

        Raises:
            Refusal: 404 if there is no such session. 409 if the session has an agent already, or is closing. 403 if no
                client waits for `leg_id`.
        """
        session = self._sessions.get(name)
        if leg_id:
            return _called(session, leg_id)
        if session is None or session.state is State.CLAIMED:
            self.held.note(name, address, about)
            raise Refusal(404, NO_SESSION)
        if session.is_held or not session.pairs or session.pairs[0].leg_id or not session.pairs[0].expect_agent():
            raise Refusal(409, HAS_AGENT)
        pair = session.pairs[0]
        self.held.forget(name)
        return pair

    def forget(self, session: Session) -> None:
        """Removes `session`, which is over, and releases its name."""
        del self._sessions[session.name]
        if not self._sessions:
            self._empty.set()
        self._claims.release(session.name, session.tickets.ended())

    def has(self, name: SessionName) -> bool:
        """Returns True if the session `name` lives in this process."""
        return name in self._sessions

    def get(self, name: SessionName) -> Session | None:
        """Returns the session `name`; None if it does not live here."""
        return self._sessions.get(name)

    def sessions(self) -> list[Session]:
        """Returns all sessions of this process, oldest first."""
        return list(self._sessions.values())

    def unready(self) -> str:
        """Returns why no new session can begin here, or "" if one can. Blocks until the directory answers."""
        if self.draining:
            return "this reflector is shutting down"
        if self._claims.displaced:
            return DISPLACED
        try:
            self._claims.check()
        except DirectoryError as error:
            return "the directory is away: %s" % error
        return ""

    def drain(self, end: float) -> None:
        """Lets no further session begin, and sets the time at which all sessions end. Users get notices before.

        Disconnects the peers that can come back to their sessions in another reflector. Does not block.

        `end`: the time, a time.monotonic().
        """
        self.draining = True
        for session in self.sessions():
            session.drain(end)
        gevent.spawn(self._move)

    def _move(self) -> None:
        """Releases the names of the sessions that can go on in another reflector, and disconnects their peers.

        Leaves connected the peers that cannot come back.
        """
        movable = {session.name: session for session in self.sessions() if session.can_move}
        self._claims.release_each(movable, lambda name: movable[name].move())

    def shut_down(self) -> None:
        """Ends every session, and lets no further one begin. Returns when all are over."""
        self.draining = True
        self._move()
        for session in self.sessions():
            session.tell(Input.SHUTDOWN)
        self.wait_until_empty()
        self._claims.finish()
        self._claims.end()

    def wait_until_empty(self, timeout: float | None = None) -> None:
        """Waits until no session is left, at most `timeout` seconds."""
        self._empty.wait(timeout)

    def _claim_lost(self, name: SessionName) -> None:
        session = self._sessions.get(name)
        if session is not None:
            session.tell(Input.CLAIM_LOST)


def _called(session: Session | None, leg_id: str) -> Pair:
    """Returns the pair of `session` with the id `leg_id`, and reserves the agent's place in it.

    Raises Refusal (403) if no client waits in such a pair, or if `session` is None. The peer must not learn which.
    """
    pair = session.find(leg_id) if session is not None else None
    if pair is None or not pair.expect_agent():
        raise Refusal(403, "no client waits for this leg", secret=True)
    return pair

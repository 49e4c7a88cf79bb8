"""Adds to a session what it needs if its agent holds it: the home link, and how the clients wait for the agent.

An agent that holds its session keeps it alive while there is no client, and while a connection is lost. The home link
is the control connection that the agent keeps open for this.
"""

from __future__ import annotations

import math
import time

from medusa.protocol.http.about import About
from medusa.reflector.refusal import Refusal
from medusa.reflector.session_name import SessionName
from medusa.reflector.sessions.life.figures import Figures
from medusa.reflector.sessions.life.home import Home
from medusa.reflector.sessions.life.totals import Totals
from medusa.reflector.sessions.limits import Place
from medusa.reflector.sessions.pair.driver import Pair
from medusa.reflector.sessions.pair.runner import Context
from medusa.reflector.sessions.pair.usage import Usage
from medusa.reflector.tickets.desk import SessionTickets
from medusa.reflector.tickets.ticket import Ticket
from medusa.session import Input, Outcome, Side, State
from medusa.session.holding import HomeInput, HomeState

HAS_AGENT = "the session has an agent already, or is closing"

_LIMITS = {Outcome.IDLE: HomeInput.IDLE, Outcome.TOO_LONG: HomeInput.DURATION_EXPIRED}
"""Maps the outcomes of a pair that end the whole session to what its home link is told."""

_OF_HOME = {
    Input.KILLED: HomeInput.KILLED,
    Input.CLAIM_LOST: HomeInput.CLAIM_LOST,
    Input.SHUTDOWN: HomeInput.MOVE,
}


class Holding(Figures):
    """The base class of a session that lets its agent hold it. A subclass has the method `_end`.

    An agent that holds its session keeps it alive while there is no client, and while a connection is lost.

    Attributes:
        usage: the record of the session for the log. If a client has opened the session, also the record of this
            client's pair.
        linked_at: the time.monotonic() at which a pair was first linked, here or in another reflector; None before.
        tickets: makes the session's tickets, with which peers come back to it.
    """

    __slots__ = ("_abandoned", "_context", "_moves", "_patience", "_was_held", "linked_at", "name", "tickets", "usage")

    def __init__(self, name: SessionName, context: Context, usage: Usage, back: Ticket | None) -> None:
        super().__init__()
        self.name = name
        self.linked_at: float | None = None
        self.usage = usage
        self.tickets = SessionTickets(context.desk, name, back)
        self._context = context
        self._patience = math.inf  # how long clients wait for an agent that has not come back to this reflector yet
        self._was_held = self._moves = False
        self._abandoned = ""  # the incarnation of the agent that was away for longer than its hold time

    def _end(self, past: Totals) -> None:
        """Ends the session: releases its name, and logs its usage. `past`: the sums over all pairs that it has had."""
        raise NotImplementedError

    @property
    def is_held(self) -> bool:
        """True if the agent holds the session, which then lives on after a connection is lost."""
        return self.home is not None

    def come_back(self, back: Ticket | None) -> None:
        """Copies two things from the ticket `back`: the session's name, and the time at which a pair was first linked.

        The maximum duration of the session counts from this time. If `back` is None, does nothing.
        """
        if back is not None and back.linked_at:
            ago = max(0.0, time.time() - back.linked_at)
            self.linked_at = min(self.linked_at or math.inf, time.monotonic() - ago)
        if back is not None and back.session_name:
            self.describe(Side.CLIENT, About(back.session_name))

    def describe(self, side: Side, about: About) -> None:
        """Notes `about`, the description that the peer at `side` has given of itself.

        If it contains a new name of the session, and an agent holds the session, the agent gets a new ticket with this
        name.
        """
        self.usage.describe(side, about)
        name = self.usage.about.name or ""
        if name != self.tickets.session_name:
            self.tickets.session_name = name
            if self.home is not None:
                self.home.renew()

    def expect_home(self, place: Place | None, hold: float, incarnation: str) -> Home:
        """Reserves the session's home link for one agent process, and returns it. The caller then calls its `attach`.

        The home link is the control connection of an agent that holds the session. See Home.

        Args:
            place: counts the session among those that are held; None if it is counted already.
            hold: for how many seconds the session lives on while the agent is away.
            incarnation: the id of the agent's process.

        Raises:
            Refusal: 409 if the session has another agent, or is closing.
        """
        home = self.home
        if home is None:
            assert place is not None
            taken = self._was_held or any(pair.state is not State.WAITING for pair in self.pairs)
            if taken and incarnation != (self._abandoned or None):
                raise Refusal(409, HAS_AGENT)
            home = self.home = Home(self, self._context, place, hold, HomeState.CLAIMED)
        elif not home.expects(Side.AGENT) or home.incarnation not in ("", incarnation):
            raise Refusal(409, HAS_AGENT)
        home.incarnation, home.hold = incarnation, hold
        return home

    def expect_return(self, place: Place, patience: float) -> None:
        """Lets the clients of a new session wait for an agent that held it before, and is expected to come back.

        Args:
            place: counts the session among those that are held.
            patience: the longest time that a client waits, in seconds.
        """
        self._patience = patience
        self.home = Home(self, self._context, place, patience, HomeState.AWAITED)

    def begin_wait(self, pair: Pair) -> None:
        """Starts the deadlines of `pair`, because its client begins to wait for the agent."""
        home = self.home
        if self._moves and pair.returns:
            pair.tell(Input.SHUTDOWN)
        if home is None:
            (pair.wait_for_call if pair.leg_id else pair.wait_for_agent)()
        elif home.is_there:
            pair.wait_for_call()
        else:
            pair.wait_for_home(self._patience if home.machine.state is HomeState.AWAITED else math.inf)

    def call_clients(self) -> None:
        """Asks the agent, over its control connection, to make one more connection for each client that waits."""
        for pair in self.pairs:
            pair.wait_for_call()

    def call_nobody(self) -> None:
        """Lets the clients go on waiting, and stops asking the agent to connect for them, because it is away."""
        for pair in self.pairs:
            pair.wait_for_home()

    def hold_ended(self) -> None:
        """Notes that the agent does not hold the session any more. If the session has no pair, ends it.

        If a pair is linked, the agent can still be asked to make more connections, over its connection in this pair:
        for the clients that wait, and for those that join later.
        """
        home, self.home = self.home, None
        if home is None:
            return
        if home.machine.outcome is Outcome.ABANDONED:
            self._abandoned = home.incarnation
        if home.address or self._past is None:
            self._past = self._past or Totals()
            self._past.hold(home.machine.outcome or Outcome.ENDED, home.reason, home.address)
        self._was_held = self._was_held or bool(home.address)
        goes_on = self.state is State.LINKED and not self._moves
        for pair in self.pairs:
            if self._was_held:
                (pair.wait_for_call if goes_on else pair.abandon)()
            else:  # the upgrade of its first link has failed: another agent may come
                self.begin_wait(pair)
        if not self.pairs:
            self._end(self._past)

    # ------------------------------------------------------------------ to the home link

    def job_over(self) -> None:
        """Notes that the session's job is over, so its agent does not come back. The session is not held any more."""
        if self.home is not None:
            self.home.tell(HomeInput.JOB_OVER)

    def _tell_home(self, happened: Input) -> None:
        if self.home is not None and happened in _OF_HOME:
            self.home.tell(_OF_HOME[happened])

    def _home_loses(self, outcome: Outcome) -> None:
        """Tells the home link (the agent's control connection) that a pair has ended with `outcome`.

        Call this after the pair was removed.
        """
        assert self.home is not None
        if outcome in _LIMITS:
            self.home.tell(_LIMITS[outcome])
        if not self.pairs:
            self.home.tell(HomeInput.NO_PAIR)

    @property
    def can_move(self) -> bool:
        """True if the client or the agent can come back to the session in another reflector."""
        return not self.tickets.void and (self.home is not None or any(pair.returns for pair in self.pairs))

    def move(self) -> None:
        """Disconnects all peers that can come back to the session in another reflector.

        Call this when the reflector stops, after the session's name was released. Pairs whose client cannot come back
        go on: call `drain` as well.
        """
        self._moves = True
        for pair in self.pairs:
            if pair.returns:
                pair.tell(Input.SHUTDOWN)
        self._tell_home(Input.SHUTDOWN)
        self.tickets.moved()

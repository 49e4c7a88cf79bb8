"""Runs one session: the pair that opened it, and one more pair for each client that has joined it.

A pair is a client and the agent that it is linked to.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Iterator
from typing import Protocol

from medusa.protocol.messages import Close
from medusa.reflector.refusal import Refusal
from medusa.reflector.session_name import SessionName
from medusa.reflector.sessions.life.holding import Holding
from medusa.reflector.sessions.life.totals import Totals
from medusa.reflector.sessions.limits import FULL_RETRY_AFTER, Place
from medusa.reflector.sessions.pair.driver import Pair
from medusa.reflector.sessions.pair.runner import Context
from medusa.reflector.sessions.pair.usage import Usage
from medusa.reflector.tickets.ticket import Ticket
from medusa.session import CLOSING, Input, Outcome, Side, State
from medusa.session.holding import HomeState

HAS_CLIENT = "the session has a client already"

_NO_AGENT_YET = "the session waits for its agent: join it after the agent has come"
_CLOSING = "the session is closing"
_TAKES_ONE = "the session's agent takes one client only: it does not announce `call`"
_FULL = "the session has as many clients as it may (--max-legs)"


_NOT_OVER = (Outcome.REFUSED, Outcome.LONELY)
"""The outcomes of a session to which its peers may come back with their tickets."""


class Holder(Protocol):
    """The interface of the registry that a session belongs to: the method that the session calls."""

    def forget(self, session: Session) -> None:
        """Removes a session that is over, and releases its name."""


class Session(Holding):
    """A session of this process. It lives until its last pair is over and its agent does not hold it any more.

    An agent that holds its session keeps it alive without a client.

    Args:
        holder: the registry, which is told when the session is over.
        back: the ticket with which a peer has opened the session again; None for a new session.
        side, address: the side and the address of the peer that opens the session.
    """

    __slots__ = ("_holder", "_legs", "_takes_calls", "_was_linked")

    def __init__(
        self, name: SessionName, context: Context, holder: Holder, side: Side, address: str, back: Ticket | None = None
    ) -> None:
        super().__init__(name, context, Usage(name, 1 if side is Side.CLIENT else 0), back)
        self._holder = holder
        self._takes_calls = self._was_linked = False
        self._legs = 0
        self.usage.started(side, address)

    # ------------------------------------------------------------------ clients that join, and agents that are called

    def check_join(self, joins: bool = True) -> None:
        """Raises Refusal if no further client may enter the session now.

        `joins`: True if the client asks to join the clients that are there. False if it wants to be the only one.

        Raises:
            Refusal: 409 if the session waits for its agent, is closing, or has an agent that takes one client only. 409
                also if there is a client already, and `joins` is False. 503 if the session has as many clients as it
                may.
        """
        if self.home is None:
            if not joins:
                raise Refusal(409, HAS_CLIENT)
            if self.state is not State.LINKED:
                closing = self._was_held or self.state in CLOSING
                raise Refusal(409, _CLOSING if closing else _NO_AGENT_YET)
            if not (self._takes_calls or any(pair.takes_calls for pair in self.pairs)):
                raise Refusal(409, _TAKES_ONE)
        elif self.home.machine.state is HomeState.CLOSING:
            raise Refusal(409, _CLOSING)
        elif not joins and any(pair.state not in CLOSING for pair in self.pairs):
            raise Refusal(409, HAS_CLIENT)
        if self._is_full():
            raise Refusal(503, _FULL, retry_after=FULL_RETRY_AFTER)

    def _is_full(self) -> bool:
        """Returns True if the session has as many pairs as it may (`max_legs`).

        Up to `max_legs` pairs that are closing are not counted. So there are never more than twice `max_legs` pairs.
        """
        most, closing = self._context.config.max_legs, sum(pair.state in CLOSING for pair in self.pairs)
        return 0 < most <= len(self.pairs) - min(closing, most)

    def add(self, place: Place, address: str) -> Pair:
        """Creates and returns a pair for the client at `address`. If the session is not new, call `check_join` first.

        `place`: counts the client for the limits, until the pair is over.
        """
        self._legs += 1
        opens = self._legs == self.usage.leg
        usage = self.usage if opens else Usage(self.name, self._legs, opens=False)
        pair = Pair(self, self._context, place, usage, "" if opens else secrets.token_hex(16))
        self.pairs.append(pair)
        if not opens:
            usage.started(Side.CLIENT, address)
        return pair

    def find(self, leg_id: str) -> Pair | None:
        """Returns the pair with the id `leg_id`, which still waits for its agent. Returns None if there is none.

        The time that this takes does not depend on `leg_id`, because an id is secret.
        """
        asked = leg_id.encode("utf-8", "replace")
        legs = [pair for pair in self.pairs if pair.leg_id]
        return next(iter([pair for pair in legs if hmac.compare_digest(pair.leg_id.encode(), asked)]), None)

    def call(self, pair: Pair) -> None:
        """Asks the session's agent to make one more connection, for the client of `pair`.

        Sends the message over the agent's home link, its control connection. If the agent has no home link, sends it
        over the agent's connection in a linked pair. Prefers a pair that was not used for the last call, and a pair in
        which no other bytes wait for the agent. If no pair is linked, ends the wait of the client.
        """
        if self.home is not None:
            self.home.call(pair.leg_id)
            return
        if self.state is not State.LINKED:
            pair.abandon()
            return
        able = [other for other in self.pairs if other.can_call]
        if able:  # otherwise it is called when a pair has been told that it is linked, which is soon
            over = min(able, key=lambda other: (other is pair.called_over, other.is_agent_busy))
            pair.called_over = over
            over.call(pair.leg_id)

    # ------------------------------------------------------------------ called by the pairs

    def linked(self, pair: Pair, took: float) -> None:
        """Notes that the client and the agent of `pair` are linked.

        `took`: the seconds since the agent asked to be let in.
        """
        self._takes_calls |= pair.takes_calls
        if self.home is not None:
            self.home.answered()
        if not self._was_linked:
            self._was_linked = True
            self.linked_at = self.linked_at or time.monotonic()
            self.usage.linked()
            self.tickets.linked()
            self._context.metrics.linked(pair.usage.waited, took)
            self._renew_tickets()
        else:
            self._context.metrics.joined(took)
        if self.home is None:  # else the agent was called as soon as a client came, or as the home link was back
            for other in self._waiting():
                if other.called_over is None:
                    self.call(other)

    def _renew_tickets(self) -> None:
        """Gives all peers new tickets, which contain the time at which the session was first linked."""
        for pair in self.pairs:
            pair.renew()
        if self.home is not None:
            self.home.renew()

    def closing(self) -> None:
        """Notes that a pair is closing, so its connection can no longer be used to call the agent.

        A call asks the agent to make one more connection, for a client that waits. Each call over the closing
        connection is repeated over another one. If no pair is linked any more, ends the wait of all clients that have
        joined.

        Does nothing if the agent has a home link, because calls go over the home link then.
        """
        if self.home is not None:
            return
        for pair in self._waiting():
            over = pair.called_over
            if self.state is not State.LINKED or (over is not None and not over.can_call):
                pair.called_over = None
                self.call(pair)

    def ended(self, pair: Pair, outcome: Outcome) -> None:
        """Removes `pair`, which is over, and logs its usage. If it was the last pair, ends the session.

        An agent that holds the session keeps it alive without pairs. Does nothing if `pair` was removed before.
        """
        if pair not in self.pairs:
            return
        self._active = max(self._active, pair.sides.active)
        self.pairs.remove(pair)
        past = self._past = self._past or Totals()
        past.add(pair, outcome)
        if self._legs > 1 or pair.usage is not self.usage:
            pair.usage.leg_ended(outcome, pair.sides.addresses, pair.sides.counts())
        if self.home is not None:
            self._home_loses(outcome)
        elif self.pairs:
            self.closing()
        else:
            self._end(past)

    def _end(self, past: Totals) -> None:
        if past.outcome in _NOT_OVER:
            self.tickets.moved()
        self._holder.forget(self)
        counts = dict(past.counts)
        self._context.metrics.ended(past.outcome, counts)
        self.usage.session_ended(past.outcome, past.reason, self._legs, past.addresses, counts)

    def _waiting(self) -> Iterator[Pair]:
        """Returns an iterator over the pairs of the clients that have joined and wait for the agent."""
        return (pair for pair in self.pairs if pair.leg_id and pair.state is State.WAITING)

    # ------------------------------------------------------------------ to all pairs

    def tell(self, happened: Input, close: Close | None = None) -> None:
        """Schedules an input (an event) for each pair and for the agent's control connection, and returns at once.

        `close`: see SessionMachine.process.
        """
        if happened is Input.KILLED:
            self.tickets.void = True
        elif happened in (Input.CLAIM_LOST, Input.SHUTDOWN):
            self.tickets.moved()
        for pair in self.pairs:
            pair.tell(happened, close)
        self._tell_home(happened)

    def drain(self, end: float) -> None:
        """Sets the time at which the pairs end. Their users get notices before. See Pair.drain.

        Leaves out each pair that has a client which can come back to the session in another reflector.

        `end`: the time, a time.monotonic().
        """
        for pair in self.pairs:
            if not (self.can_move and pair.returns):
                pair.drain(end)

    def drain_forwarded(self, end: float, words: str, peer: str) -> bool:
        """Sets the time `end` at which forwarded pairs end, because the reflector that forwards them stops.

        A pair is forwarded if one of its peers is connected to another reflector. Leaves out the pairs whose client
        does not show notices. Returns False if no pair is left.

        Args:
            end: the time.monotonic() at which the pairs end. Their users get notices before.
            words: the reason, as a text for the user.
            peer: the address of the client or agent that is connected to the other reflector; "" for all.
        """
        forwarded = [pair for pair in self.pairs if pair.is_forwarded and pair.shows_notices]
        concerned = [pair for pair in forwarded if not peer or peer in pair.sides.addresses.values()]
        for pair in concerned:
            pair.drain(end, words)
        return bool(concerned)

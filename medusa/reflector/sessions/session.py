"""One session: the pair that opened it, and a further pair for each client that has joined it. Each pair is a leg."""

from __future__ import annotations

import hmac
import time
from collections import Counter
from collections.abc import Iterator
from typing import Protocol

from medusa.protocol.messages import Close
from medusa.reflector.refusal import Refusal
from medusa.reflector.session_name import SessionName
from medusa.reflector.sessions.limits import FULL_RETRY_AFTER, Place
from medusa.reflector.sessions.pair.driver import Pair
from medusa.reflector.sessions.pair.runner import Context
from medusa.reflector.sessions.pair.sides import Sides
from medusa.reflector.sessions.pair.usage import Usage
from medusa.reflector.sessions.totals import Totals
from medusa.reflector.tickets.desk import SessionTickets
from medusa.reflector.tickets.ticket import Ticket
from medusa.session import CLOSING, Input, Outcome, Side, State

_NO_AGENT_YET = "the session waits for its agent: join it after the agent has come"
_CLOSING = "the session is closing"
_TAKES_ONE = "the session's agent takes one client only: it does not announce `call`"
_FULL = "the session has as many clients as it may (--max-legs)"


class Holder(Protocol):
    """The registry that a session belongs to: the method that the session calls."""

    def forget(self, session: Session) -> None:
        """Takes note that the session is over, and releases its name."""


class Session:
    """A session of this process. It lives until the last of its pairs is over.

    Args:
        place: counts the client that opens the session.
        holder: the registry, which is told when the session is over.
        back: the ticket by which a peer has opened the session again; None for a new session.

    Attributes:
        pairs: the pairs that live, oldest first.
        usage: the usage of the pair that opened the session.
        tickets: gives the tickets of the session.
        linked_at: the time.monotonic() at which that pair was linked; None before.
    """

    __slots__ = (
        "_context",
        "_holder",
        "_legs",
        "_past",
        "_takes_calls",
        "linked_at",
        "name",
        "pairs",
        "tickets",
        "usage",
    )

    def __init__(
        self,
        name: SessionName,
        context: Context,
        place: Place,
        address: str,
        holder: Holder,
        back: Ticket | None = None,
    ) -> None:
        self.name = name
        self.linked_at: float | None = None
        self._context = context
        self._holder = holder
        self._takes_calls = False
        self._past: Totals | None = None
        self._legs = 1
        self.pairs = [Pair(self, context, place, address)]
        self.tickets = SessionTickets(context.desk, name, back)
        self.usage: Usage = self.pairs[0].usage

    # ------------------------------------------------------------------ clients that join, and agents that are called

    def check_join(self) -> None:
        """Checks that a further client may join now.

        Raises:
            Refusal: 409 if there is no agent that takes further clients, 503 if the session has `max_legs` clients.
        """
        if self.state is not State.LINKED:
            raise Refusal(409, _CLOSING if self.state in CLOSING else _NO_AGENT_YET)
        if not (self._takes_calls or any(pair.takes_calls for pair in self.pairs)):
            raise Refusal(409, _TAKES_ONE)
        if self._is_full():
            raise Refusal(503, _FULL, retry_after=FULL_RETRY_AFTER)

    def _is_full(self) -> bool:
        """Returns True if there are `max_legs` pairs. Pairs that are closing do not count, up to the number `max_legs`.

        So there are never more than twice `max_legs` pairs.
        """
        most, closing = self._context.config.max_legs, sum(pair.state in CLOSING for pair in self.pairs)
        return 0 < most <= len(self.pairs) - min(closing, most)

    def join(self, place: Place, address: str) -> Pair:
        """Returns a new pair, for the client at `address` that joins. Call `check_join` first.

        `place` counts the client in the limits.
        """
        self._legs += 1
        pair = Pair(self, self._context, place, address, self._legs)
        self.pairs.append(pair)
        return pair

    def find(self, leg_id: str) -> Pair | None:
        """Returns the pair that `leg_id` names, whose agent has not come yet. None if there is none.

        The time that this takes does not depend on `leg_id`.
        """
        asked = leg_id.encode("utf-8", "replace")
        legs = [pair for pair in self.pairs if pair.leg_id]
        return next(iter([pair for pair in legs if hmac.compare_digest(pair.leg_id.encode(), asked)]), None)

    def call(self, pair: Pair) -> None:
        """Asks the session's agent to dial for `pair`. The message goes over the link of another pair, which is linked.

        Takes another link than the last time if there is one, and prefers a link on which nothing waits. If the session
        has no linked pair, ends the wait of `pair`.
        """
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
        """Takes note that the client and the agent of `pair` are linked. `took`: seconds since the agent's request."""
        self._takes_calls |= pair.takes_calls
        if pair.usage.leg == 1:
            self.linked_at = time.monotonic()
            self.tickets.linked()
            self._context.metrics.linked(pair.usage.waited, took)
        else:
            self._context.metrics.joined(took)
        for other in self._waiting():
            if other.called_over is None:
                self.call(other)

    def closing(self) -> None:
        """Takes note that a pair is closing. Calls the agent again for clients for whom it was called over this link.

        If no linked pair is left, ends the wait of all clients that have joined.
        """
        for pair in self._waiting():
            over = pair.called_over
            if self.state is not State.LINKED or (over is not None and not over.can_call):
                pair.called_over = None
                self.call(pair)

    def ended(self, pair: Pair, outcome: Outcome) -> None:
        """Takes note that `pair` is over, and logs its usage. If it was the last pair, the session is over.

        Does nothing if this method was called for `pair` before.
        """
        if pair not in self.pairs:
            return
        self.pairs.remove(pair)
        past = self._past = self._past or Totals()
        past.add(pair, outcome)
        if self._legs > 1:
            pair.usage.leg_ended(outcome, pair.sides.addresses, pair.sides.counts())
        if self.pairs:
            self.closing()
            return
        self._holder.forget(self)
        counts = dict(past.counts)
        self._context.metrics.ended(past.outcome, counts)
        self.usage.session_ended(past.outcome, past.reason, self._legs, past.addresses, counts)

    def _waiting(self) -> Iterator[Pair]:
        """Yields the pairs whose clients have joined, and wait for the agent."""
        return (pair for pair in self.pairs if pair.leg_id and pair.state is State.WAITING)

    # ------------------------------------------------------------------ to all pairs

    def tell(self, happened: Input, close: Close | None = None) -> None:
        """Schedules an input (an event) for each pair, and returns at once."""
        if happened in (Input.CLAIM_LOST, Input.SHUTDOWN):
            self.tickets.moved()
        for pair in self.pairs:
            pair.tell(happened, close)

    def drain(self, end: float) -> None:
        """Ends all pairs at `end`, a time.monotonic(), and tells their users beforehand. See Pair.drain."""
        for pair in self.pairs:
            pair.drain(end)

    def drain_forwarded(self, end: float, words: str, peer: str) -> bool:
        """Does the same as `drain`, but only for pairs that another reflector has forwarded, and that show notices.

        Returns False if there are none. `words`: the reason, as a text for the user. `peer`: the address of the client
        or agent whose connection is forwarded; "" for all.
        """
        forwarded = [pair for pair in self.pairs if pair.is_forwarded and pair.shows_notices]
        concerned = [pair for pair in forwarded if not peer or peer in pair.sides.addresses.values()]
        for pair in concerned:
            pair.drain(end, words)
        return bool(concerned)

    # ------------------------------------------------------------------ for lists and numbers

    @property
    def state(self) -> State:
        """LINKED if one of the pairs is linked; else the state of the oldest pair; ENDED after the last one is over."""
        states = [pair.state for pair in self.pairs]
        return State.LINKED if State.LINKED in states else states[0] if states else State.ENDED

    @property
    def legs(self) -> int:
        """The number of pairs that live."""
        return len(self.pairs)

    def has(self, side: Side) -> bool:
        """Returns True if `side` has attached, in any of the pairs."""
        return any(side in sides for sides in self._sides())

    @property
    def links(self) -> int:
        """The number of the session's connections that are not closed, even if their peer has ended its stream."""
        return sum(sides.links for sides in self._sides())

    @property
    def addresses(self) -> dict[str, str]:
        """The addresses of the peers of the oldest pair that have attached, keyed by "client" and "agent"."""
        return next((sides.addresses for sides in self._sides()), {})

    def active(self) -> float:
        """Returns the time.monotonic() of the last terminal byte in any of the pairs; see Sides.active."""
        return max((sides.active for sides in self._sides()), default=time.monotonic())

    def counts(self) -> dict[str, int]:
        """Returns how many messages and bytes each side has sent to the other, in all pairs. See Sides.counts."""
        counts = Counter(self._past.counts if self._past is not None else {})
        for sides in self._sides():
            counts.update(sides.counts())
        return dict(counts)

    def terminal_bytes(self) -> dict[str, int]:
        """Returns how many bytes of terminal input and output have passed in all pairs. See Sides.terminal_bytes."""
        sizes = Counter(self._past.terminal_bytes if self._past is not None else {})
        for sides in self._sides():
            sizes.update(sides.terminal_bytes())
        return dict(sizes)

    def _sides(self) -> Iterator[Sides]:
        return (pair.sides for pair in self.pairs)

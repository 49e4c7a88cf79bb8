"""The life of one side's connection as one table, with half-close in it. No I/O, no clock.

`endpoint.Endpoint` says what happened and carries out the actions. A (state, input) pair that is not in the table
cannot happen: if one does, the caller has a bug, and `step` raises.

Half-close: a plain peer (raw TCP without frames) can end one direction by a FIN and go on with the other. Between two
plain peers a FIN is passed on, and the end of a side is reported only after both directions have ended. Toward a peer
with frames a FIN ends both directions at once.
"""

from __future__ import annotations

import enum
from typing import NamedTuple


class _Named(enum.Enum):
    """Members are compared by identity, and hashed by it: Enum's own hash is Python code."""

    __hash__ = object.__hash__


class State(_Named):
    """How far the life of a connection has come."""

    DROPPING = "open, and what is read is dropped: its client waits, or its session is over"
    FORWARDING = "open, and what is read goes to the other side"
    FORWARDING_PLAIN = "as FORWARDING, between two plain peers: each direction ends by itself"
    HALF_CLOSED = "the peer's FIN came first and was passed on; the other direction may go on"
    HALF_CLOSED_LAST = "the peer's FIN came second; bytes may still wait to be written"
    DISCARDING = "the peer broke the rules, was sent a Close, and is read until it goes"
    ENDED = "the end is reported; what waits for the peer is written, then a FIN"
    RELEASED = "the connection is closed"


OPEN = (State.DROPPING, State.FORWARDING, State.FORWARDING_PLAIN)
"""The peer has neither ended its stream nor broken the rules."""

READING = (*OPEN, State.DISCARDING)
HALF_CLOSED = (State.HALF_CLOSED, State.HALF_CLOSED_LAST)
REPORTED = (State.DISCARDING, State.ENDED)
"""The session knows, and only what waits for the peer is still written."""


class Input(_Named):
    """What can happen to a connection."""

    LINKED = "the two sides are joined"
    LINKED_PLAIN = "the two sides are joined, and both are plain"
    DETACHED = "nothing is forwarded from this side any more"
    PEER_CLOSED = "the peer sent a Close, or its FIN if it is plain"
    PEER_CLOSED_LAST = "the same, after the other side was half-closed"
    PEER_LOST = "the stream ended without a Close, or failed"
    PEER_BROKE_RULES = "the peer broke the protocol and was sent a Close"
    BOTH_WRITTEN = "both sides are half-closed, and nothing waits to be written to either"
    WRITE_FAILED = "the peer accepts no bytes any more"
    GIVEN_UP = "the reflector gives the peer up"
    DISMISSED = "the session needs the connection no more"


class Action(_Named):
    """What the endpoint is to do."""

    WATCH = "read"
    UNWATCH = "read no more"
    FORWARD_FIN = "end the stream to the other side"
    REPORT_CLOSED = "report that the peer closed"
    REPORT_LOST = "report that the peer is lost"
    REPORT_BREACH = "report that the peer broke the rules"
    RELEASE = "stop both watchers and close the connection"


class Step(NamedTuple):
    """One entry of the table."""

    next: State
    actions: tuple[Action, ...] = ()


class IllegalInput(Exception):
    """An input that its state has no entry for: a bug of the caller."""


_S, _I, _A = State, Input, Action
_HALF_CLOSE = (_A.UNWATCH, _A.FORWARD_FIN)
_CLOSED = Step(_S.ENDED, (_A.REPORT_CLOSED,))

TABLE: dict[tuple[State, Input], Step] = {
    # An open connection.
    (_S.DROPPING, _I.LINKED): Step(_S.FORWARDING),
    (_S.DROPPING, _I.LINKED_PLAIN): Step(_S.FORWARDING_PLAIN),
    (_S.DROPPING, _I.DETACHED): Step(_S.DROPPING),
    (_S.FORWARDING, _I.DETACHED): Step(_S.DROPPING, (_A.WATCH,)),
    (_S.FORWARDING_PLAIN, _I.DETACHED): Step(_S.DROPPING, (_A.WATCH,)),
    (_S.DROPPING, _I.PEER_CLOSED): Step(_S.ENDED, (_A.UNWATCH, _A.REPORT_CLOSED)),
    (_S.FORWARDING, _I.PEER_CLOSED): Step(_S.ENDED, (_A.UNWATCH, _A.REPORT_CLOSED)),
    (_S.FORWARDING_PLAIN, _I.PEER_CLOSED): Step(_S.HALF_CLOSED, _HALF_CLOSE),
    (_S.FORWARDING_PLAIN, _I.PEER_CLOSED_LAST): Step(_S.HALF_CLOSED_LAST, _HALF_CLOSE),
    **{(state, _I.PEER_LOST): Step(_S.ENDED, (_A.UNWATCH, _A.REPORT_LOST)) for state in READING},
    **{(state, _I.PEER_BROKE_RULES): Step(_S.DISCARDING, (_A.WATCH, _A.REPORT_BREACH)) for state in OPEN},
    # Half-closed: the end is reported when the other direction has ended as well, or will not.
    **{(state, _I.BOTH_WRITTEN): _CLOSED for state in HALF_CLOSED},
    **{(state, _I.WRITE_FAILED): _CLOSED for state in HALF_CLOSED},
    **{(state, _I.DETACHED): _CLOSED for state in HALF_CLOSED},
    # The two sides may be joined, and parted, after one of them has ended.
    **{(state, linked): Step(state) for state in (*REPORTED, _S.RELEASED) for linked in (_I.LINKED, _I.LINKED_PLAIN)},
    **{(state, _I.DETACHED): Step(state) for state in (*REPORTED, _S.RELEASED)},
    # If only writing fails, what the peer sent before may still be read.
    **{(state, _I.WRITE_FAILED): Step(state) for state in (*OPEN, *REPORTED, _S.RELEASED)},
    **{(state, _I.GIVEN_UP): Step(_S.RELEASED, (_A.RELEASE, _A.REPORT_LOST)) for state in (*READING, *HALF_CLOSED)},
    (_S.ENDED, _I.GIVEN_UP): Step(_S.RELEASED, (_A.RELEASE,)),
    (_S.RELEASED, _I.GIVEN_UP): Step(_S.RELEASED),
    **{(state, _I.DISMISSED): Step(_S.RELEASED, (_A.RELEASE,)) for state in State if state is not _S.RELEASED},
    (_S.RELEASED, _I.DISMISSED): Step(_S.RELEASED),
}
"""(state, input) -> step."""


def step(state: State, happened: Input) -> Step:
    """What `happened` leads to in `state`. Raises IllegalInput."""
    found = TABLE.get((state, happened))
    if found is None:
        raise IllegalInput("%s while %s" % (happened.name, state.name))
    return found

"""Defines the states of the connection of one side (client or agent), in one table. No I/O, no clock.

`endpoint.Endpoint` calls `step` with an input (an event), and carries out the actions that `step` returns. If the table
has no entry for the current state and an input, the caller has a bug: `step` raises IllegalInput.

Half-close: a plain peer (raw TCP without frames) can end one direction with a FIN and go on with the other. Between two
plain peers a FIN is passed on. The session is then told that a side has ended only after both directions have ended. If
the other peer uses frames, the FIN ends both directions immediately.
"""

from __future__ import annotations

from typing import NamedTuple

from medusa.session.members import Named, direct


@direct
class State(Named):
    """A phase in the life of a connection."""

    DROPPING = "open, and what is read is dropped: its client waits, or its session is over"
    FORWARDING = "open, and what is read goes to the other side"
    FORWARDING_PLAIN = "as FORWARDING, between two plain peers: each direction ends by itself"
    HALF_CLOSED = "the peer's FIN came first and was passed on; the other direction may go on"
    HALF_CLOSED_LAST = "the peer's FIN came second; bytes may still wait to be written"
    DISCARDING = "the peer broke the rules, was sent a Close, and is read until it goes"
    ENDED = "the end is reported; what waits for the peer is written, then a FIN"
    RELEASED = "the connection is closed"


OPEN = (State.DROPPING, State.FORWARDING, State.FORWARDING_PLAIN)
"""The states before the peer has ended its stream or broken the protocol."""

READING = (*OPEN, State.DISCARDING)
HALF_CLOSED = (State.HALF_CLOSED, State.HALF_CLOSED_LAST)
REPORTED = (State.DISCARDING, State.ENDED)
"""The states after the session was told that the peer has closed, is lost, or has broken the protocol."""


@direct
class Input(Named):
    """An event in the life of a connection."""

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


@direct
class Action(Named):
    """An action that the endpoint has to carry out."""

    WATCH = "read"
    UNWATCH = "read no more"
    FORWARD_FIN = "end the stream to the other side"
    REPORT_CLOSED = "report that the peer closed"
    REPORT_LOST = "report that the peer is lost"
    REPORT_BREACH = "report that the peer broke the rules"
    RELEASE = "stop both watchers and close the connection"


class Step(NamedTuple):
    """One entry of the table: the next state, and the actions in their order."""

    next: State
    actions: tuple[Action, ...] = ()


class IllegalInput(Exception):
    """Raised if the table has no entry for an input in the current state: a bug of the caller."""


_S, _I, _A = State, Input, Action
_HALF_CLOSE = (_A.UNWATCH, _A.FORWARD_FIN)
_CLOSED = Step(_S.ENDED, (_A.REPORT_CLOSED,))

TABLE: dict[tuple[State, Input], Step] = {
    # The connection is open.
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
    # Half-closed: the end is reported when the other direction has ended too, or when it cannot end in order any more.
    **{(state, _I.BOTH_WRITTEN): _CLOSED for state in HALF_CLOSED},
    **{(state, _I.WRITE_FAILED): _CLOSED for state in HALF_CLOSED},
    **{(state, _I.DETACHED): _CLOSED for state in HALF_CLOSED},
    # The two sides may be joined, or separated, even after one of them has ended.
    **{(state, linked): Step(state) for state in (*REPORTED, _S.RELEASED) for linked in (_I.LINKED, _I.LINKED_PLAIN)},
    **{(state, _I.DETACHED): Step(state) for state in (*REPORTED, _S.RELEASED)},
    # If only writing fails, bytes that the peer sent before may still be read.
    **{(state, _I.WRITE_FAILED): Step(state) for state in (*OPEN, *REPORTED, _S.RELEASED)},
    **{(state, _I.GIVEN_UP): Step(_S.RELEASED, (_A.RELEASE, _A.REPORT_LOST)) for state in (*READING, *HALF_CLOSED)},
    (_S.ENDED, _I.GIVEN_UP): Step(_S.RELEASED, (_A.RELEASE,)),
    (_S.RELEASED, _I.GIVEN_UP): Step(_S.RELEASED),
    **{(state, _I.DISMISSED): Step(_S.RELEASED, (_A.RELEASE,)) for state in State if state is not _S.RELEASED},
    (_S.RELEASED, _I.DISMISSED): Step(_S.RELEASED),
}
"""Maps each possible (state, input) to its step."""


def step(state: State, happened: Input) -> Step:
    """Returns the table's entry for the input `happened` in `state`. Raises IllegalInput if there is none."""
    found = TABLE.get((state, happened))
    if found is None:
        raise IllegalInput("%s while %s" % (happened.name, state.name))
    return found

"""The state machine of one pair of client and agent, as one table. It has no I/O and no clock.

A session has one such pair for each of its clients. Each pair has a machine of its own, so in this module "session"
means one pair.

`SessionMachine.process` takes one input (an event), and returns the actions that the caller has to carry out, in order.
It never waits, so each input is finished before the next one starts. If the table has no step for the current state and
an input, the caller has a bug: `process` raises IllegalInput.

docs/protocol.md shows this table; `python -m medusa.session` prints the text that stands there.
"""

from __future__ import annotations

from medusa.protocol.messages import Close
from medusa.protocol.record import record
from medusa.session.terms import CLOSING, WAITING, Action, Input, Outcome, Side, State

AGENT_LOST_REASON = "remote connection error"
CLIENT_LOST_REASON = "remote connection reset"
"""The reasons in the Close for the side that is still connected, after the agent or the client was lost.

The original Medusa sent the same texts.
"""

GOING_AWAY = 1001
"""The close code of a server that shuts down (RFC 6455 section 7.4.1)."""


@record
class Step:
    """One entry of the table: what a session does in one state with one input.

    Attributes:
        next: the state after this step.
        actions: what the reflector has to do, in this order.
        outcome: the session's outcome if this step decides it, else None.
        close: the Close to send to each side that this step closes. None means: a Close with code 1000 and with the
            reason from the other side's Close.
    """

    next: State
    actions: tuple[Action, ...] = ()
    outcome: Outcome | None = None
    close: Close | None = None


_CLOSE_AGENT = (Action.CLOSE_AGENT, Action.FINISH)
_CLOSE_CLIENT = (Action.CLOSE_CLIENT, Action.FINISH)
_END_WAIT = (Action.HURRY, *_CLOSE_CLIENT)
_END_BOTH = (Action.HURRY, Action.CLOSE_CLIENT, Action.CLOSE_AGENT, Action.FINISH)
_NORMAL = Close()
_AGENT_LOST = Close(1000, AGENT_LOST_REASON)
_CLIENT_LOST = Close(1000, CLIENT_LOST_REASON)
_NO_AGENT = Close(1000, "no agent came in time")
_NO_ANSWER = Close(1000, "the session's agent did not answer the call")
_NOTHING_LEFT = Close(1000, "the session has ended")
_BROKE_RULES = Close(1000, "the remote side broke the protocol")
_IDLE = Close(1000, "the session was idle for too long")
_TOO_LONG = Close(1000, "the session has reached its maximum duration")
_KILLED = Close(1000, "the session was killed")
_CLAIM_LOST = Close(1000, "this reflector lost the session's id to another")
_STOPPING = Close(GOING_AWAY, "the reflector is shutting down")

COME_BACK = 1012
"""The close code for a side that has a ticket: it is to come back with the ticket (RFC 6455: service restart)."""

_RETURNS = (_AGENT_LOST, _CLIENT_LOST, _NO_ANSWER, _CLAIM_LOST, _STOPPING)
"""The Closes that do not end a session which is held: a side of it that holds gets them with the code COME_BACK."""

_S, _I, _O = State, Input, Outcome
_RELEASE = Step(_S.ENDED, (Action.RELEASE,))
_CLIENT_GONE = (_I.CLIENT_CLOSED, _I.CLIENT_LOST)
_AGENT_GONE = (_I.AGENT_CLOSED, _I.AGENT_LOST)

TABLE: dict[tuple[State, Input], Step] = {
    (_S.CLAIMED, _I.CLIENT_ATTACHED): Step(_S.WAITING, (Action.START_WAIT,)),
    (_S.CLAIMED, _I.CLIENT_REFUSED): Step(_S.ENDED, (Action.RELEASE,), _O.REFUSED),
    (_S.CLAIMED, _I.SHUTDOWN): Step(_S.ENDED, (Action.RELEASE,), _O.SHUT_DOWN),
    (_S.CLAIMED, _I.KILLED): Step(_S.ENDED, (Action.RELEASE,), _O.KILLED),
    (_S.CLAIMED, _I.CLAIM_LOST): Step(_S.ENDED, (Action.RELEASE,), _O.ENDED),
    (_S.WAITING, _I.AGENT_EXPECTED): Step(_S.WAITING_UPGRADE),
    (_S.WAITING_UPGRADE, _I.AGENT_REFUSED): Step(_S.WAITING),
    (_S.WAITING, _I.CALL_DUE): Step(_S.WAITING, (Action.SEND_CALL,)),
    (_S.WAITING_UPGRADE, _I.CALL_DUE): Step(_S.WAITING_UPGRADE),
    (_S.WAITING_UPGRADE, _I.AGENT_ATTACHED): Step(_S.LINKED, (Action.LINK_UP,)),
    **{
        (waiting, happened): step
        for waiting in WAITING
        for happened, step in (
            (_I.WAIT_PULSE, Step(waiting, (Action.SEND_WAIT,))),
            (_I.DRAIN_NOTICE, Step(waiting, (Action.SEND_DRAIN_NOTICE,))),
            (_I.CLIENT_CLOSED, Step(_S.ENDED, (Action.RELEASE,), _O.LONELY)),
            (_I.CLIENT_LOST, Step(_S.ENDED, (Action.RELEASE,), _O.LONELY)),
            (_I.CLIENT_BROKE_RULES, Step(_S.CLOSING_CLIENT, (Action.FINISH,), _O.ENDED)),
            (_I.WAIT_EXPIRED, Step(_S.CLOSING_CLIENT, _CLOSE_CLIENT, _O.EXPIRED, _NO_AGENT)),
            (_I.CALL_EXPIRED, Step(_S.CLOSING_CLIENT, _CLOSE_CLIENT, _O.EXPIRED, _NO_ANSWER)),
            (_I.AGENT_GONE, Step(_S.CLOSING_CLIENT, _CLOSE_CLIENT, _O.ENDED, _NOTHING_LEFT)),
            (_I.KILLED, Step(_S.CLOSING_CLIENT, (Action.SEND_KILLED, *_END_WAIT), _O.KILLED, _KILLED)),
            (_I.CLAIM_LOST, Step(_S.CLOSING_CLIENT, _END_WAIT, _O.ENDED, _CLAIM_LOST)),
            (_I.SHUTDOWN, Step(_S.CLOSING_CLIENT, _END_WAIT, _O.SHUT_DOWN, _STOPPING)),
        )
    },
    (_S.LINKED, _I.CLIENT_CLOSED): Step(_S.CLOSING_AGENT, _CLOSE_AGENT, _O.COMPLETED),
    (_S.LINKED, _I.AGENT_CLOSED): Step(_S.CLOSING_CLIENT, _CLOSE_CLIENT, _O.COMPLETED),
    (_S.LINKED, _I.CLIENT_LOST): Step(_S.CLOSING_AGENT, _CLOSE_AGENT, _O.LOST, _CLIENT_LOST),
    (_S.LINKED, _I.AGENT_LOST): Step(_S.CLOSING_CLIENT, _CLOSE_CLIENT, _O.LOST, _AGENT_LOST),
    (_S.LINKED, _I.CLIENT_BROKE_RULES): Step(_S.CLOSING_BOTH, _CLOSE_AGENT, _O.ENDED, _BROKE_RULES),
    (_S.LINKED, _I.AGENT_BROKE_RULES): Step(_S.CLOSING_BOTH, _CLOSE_CLIENT, _O.ENDED, _BROKE_RULES),
    (_S.LINKED, _I.IDLE_NOTICE): Step(_S.LINKED, (Action.SEND_IDLE_NOTICE,)),
    (_S.LINKED, _I.DURATION_NOTICE): Step(_S.LINKED, (Action.SEND_DURATION_NOTICE,)),
    (_S.LINKED, _I.DRAIN_NOTICE): Step(_S.LINKED, (Action.SEND_DRAIN_NOTICE,)),
    (_S.LINKED, _I.IDLE_EXPIRED): Step(_S.CLOSING_BOTH, _END_BOTH, _O.IDLE, _IDLE),
    (_S.LINKED, _I.DURATION_EXPIRED): Step(_S.CLOSING_BOTH, _END_BOTH, _O.TOO_LONG, _TOO_LONG),
    (_S.LINKED, _I.KILLED): Step(_S.CLOSING_BOTH, _END_BOTH, _O.KILLED, _KILLED),
    (_S.LINKED, _I.CLAIM_LOST): Step(_S.CLOSING_BOTH, _END_BOTH, _O.ENDED, _CLAIM_LOST),
    (_S.LINKED, _I.SHUTDOWN): Step(_S.CLOSING_BOTH, _END_BOTH, _O.SHUT_DOWN, _STOPPING),
    **{(_S.CLOSING_BOTH, gone): Step(_S.CLOSING_AGENT) for gone in _CLIENT_GONE},
    **{(_S.CLOSING_BOTH, gone): Step(_S.CLOSING_CLIENT) for gone in _AGENT_GONE},
    **{(_S.CLOSING_CLIENT, gone): _RELEASE for gone in _CLIENT_GONE},
    **{(_S.CLOSING_AGENT, gone): _RELEASE for gone in _AGENT_GONE},
    **{(closing, _I.CLOSE_EXPIRED): _RELEASE for closing in CLOSING},
    # A side that broke the rules was sent a Close. Its link is read until it ends, which is another input.
    (_S.CLOSING_BOTH, _I.CLIENT_BROKE_RULES): Step(_S.CLOSING_BOTH),
    (_S.CLOSING_BOTH, _I.AGENT_BROKE_RULES): Step(_S.CLOSING_BOTH),
    (_S.CLOSING_CLIENT, _I.CLIENT_BROKE_RULES): Step(_S.CLOSING_CLIENT),
    (_S.CLOSING_AGENT, _I.AGENT_BROKE_RULES): Step(_S.CLOSING_AGENT),
    # The session began to close while an agent's upgrade was under way.
    (_S.CLOSING_CLIENT, _I.AGENT_ATTACHED): Step(_S.CLOSING_CLIENT, (Action.DISMISS_AGENT,)),
    (_S.CLOSING_CLIENT, _I.AGENT_REFUSED): Step(_S.CLOSING_CLIENT),
    **{
        (closing, late): Step(closing, (Action.HURRY,))
        for late in (_I.SHUTDOWN, _I.KILLED, _I.CLAIM_LOST)
        for closing in CLOSING
    },
}
"""Maps (state, input) to the step that the session then takes. An input is an event, such as CLIENT_CLOSED."""


class IllegalInput(Exception):
    """Raised if TABLE has no step for the session's state and this input (an event): a bug of the caller."""


class SessionMachine:
    """The state machine of one session.

    Attributes:
        state: the session's state now.
        outcome: how the session ends. None until a step decides it; then it stays the same.
        close: the Close to send to the sides that the last step closes.
    """

    __slots__ = ("close", "outcome", "state")

    def __init__(self) -> None:
        self.state = State.CLAIMED
        self.outcome: Outcome | None = None
        self.close = _NORMAL

    def process(self, happened: Input, close: Close | None = None) -> tuple[Action, ...]:
        """Processes one input (an event). Returns the actions that the caller has to carry out now, in this order.

        Args:
            close: if the input is CLIENT_CLOSED or AGENT_CLOSED, the Close that this side has sent. The other side
                then gets a Close with the same reason and with the code 1000.

        Raises:
            IllegalInput: the table has no entry for this input in this state. The state is unchanged.
        """
        step = TABLE.get((self.state, happened))
        if step is None:
            raise IllegalInput("%s while %s" % (happened.name, self.state.name))
        self.state = step.next
        self.outcome = self.outcome or step.outcome
        self.close = step.close or (Close(1000, close.reason) if close and close.reason else _NORMAL)
        return step.actions


def for_holder(close: Close) -> Close:
    """Returns the Close to send to a side that holds its session, and so can come back.

    If the session goes on in spite of `close`, the result is `close` with the code COME_BACK. Otherwise it is `close`.

    Args:
        close: a Close that is in TABLE.
    """
    return Close(COME_BACK, close.reason) if any(close is each for each in _RETURNS) else close


def closed(side: Side) -> Input:
    """Returns the Input to pass to SessionMachine.process after `side` has sent a Close."""
    return Input.CLIENT_CLOSED if side is Side.CLIENT else Input.AGENT_CLOSED


def lost(side: Side) -> Input:
    """Returns the Input to pass to SessionMachine.process after `side` was lost.

    A side is lost if its connection ended without a Close.
    """
    return Input.CLIENT_LOST if side is Side.CLIENT else Input.AGENT_LOST


def broke_rules(side: Side) -> Input:
    """Returns the Input to pass to SessionMachine.process after `side` broke the protocol.

    The caller must already have sent a Close to this side.
    """
    return Input.CLIENT_BROKE_RULES if side is Side.CLIENT else Input.AGENT_BROKE_RULES

"""The state machine of the home link of a session. It is one table, without I/O and without a clock.

The home link is a connection by which an agent holds its session: while it is there, the session lives without clients
too. It carries control messages only. Each client has a pair of connections, with a machine of its own
(medusa/session/machine.py). A session that is held lives until this machine is in the state ENDED and no pair is left.

`HomeMachine.process` takes one input (an event), and returns the step with the actions that the caller has to carry
out, in order. If the table has no step for the current state and an input, the caller has a bug: `process` raises
IllegalInput.

docs/protocol.md shows this table; `python -m medusa.session` prints the text that stands there.
"""

from __future__ import annotations

from medusa.protocol.messages import Close
from medusa.protocol.record import record
from medusa.session.machine import COME_BACK, IllegalInput
from medusa.session.members import Named, direct
from medusa.session.terms import Outcome


@direct
class HomeState(Named):
    """The states of a home link."""

    CLAIMED = "the upgrade of the first home link is under way"
    AWAITED = "a client has opened the session again with its ticket; the agent has not come back yet"
    HELD = "the home link is there"
    ABSENT = "the home link is lost, and the agent may come back"
    CLOSING = "the agent was sent a Close and has yet to go"
    ENDED = "the session is not held any more; it lives until its last pair is over"


@direct
class HomeInput(Named):
    """The events that can happen to a home link."""

    ATTACHED = "the upgrade of a home link is done"
    REFUSED = "the upgrade of a home link failed"
    CLOSED = "the agent sent Close on its home link"
    LOST = "the home link is gone without a Close"
    BROKE_RULES = "the agent broke the protocol on its home link and was sent a Close"
    HOLD_EXPIRED = "the agent was away for longer than its hold time"
    NO_PAIR = "the last pair of the session is over"
    IDLE = "a pair ends because no terminal byte has passed for the idle timeout"
    DURATION_EXPIRED = "the session has lasted as long as one may"
    KILLED = "an administrator wants the session to end"
    JOB_OVER = "the client that has started the job says that it is over"
    CLAIM_LOST = "another reflector holds the id now"
    MOVE = "the reflector stops, and has released the id"
    CLOSE_EXPIRED = "the agent did not answer the Close in time"


@direct
class HomeAction(Named):
    """The actions that a step can ask the reflector to carry out."""

    START = "read the home link, and check that its agent lives"
    REPLACE = "send the older home link the Close `replaced`, and forget it"
    CALL_CLIENTS = "call the agent for each client that waits"
    START_HOLD = "start the deadline of the hold; the clients that wait are not called any more"
    CLOSE_HOME = "send the agent a Close, and start the deadline for its answer"
    RELEASE = "close the home link, and end the wait of all clients; if there is no pair, the session is over"


@record
class HomeStep:
    """One entry of the table.

    Attributes:
        next: the state after this step.
        actions: what the reflector has to do, in this order.
        outcome: the outcome of the session if this step decides it, else None.
        close: the Close to send to the agent; None if the step sends none.
    """

    next: HomeState
    actions: tuple[HomeAction, ...] = ()
    outcome: Outcome | None = None
    close: Close | None = None


JOB_OVER = 4001
"""The code of a client's Close that says that the session's job is over, so that its agent cannot come back."""

REPLACED = Close(1000, "replaced")
_S, _I, _A, _O = HomeState, HomeInput, HomeAction, Outcome
_RELEASE = (_A.RELEASE,)
_BEFORE = (_S.CLAIMED, _S.AWAITED)
_LIVING = (_S.CLAIMED, _S.AWAITED, _S.HELD, _S.ABSENT)
_ENDS = {
    _I.IDLE: (_O.IDLE, Close(1000, "the session was idle for too long")),
    _I.DURATION_EXPIRED: (_O.TOO_LONG, Close(1000, "the session has reached its maximum duration")),
    _I.KILLED: (_O.KILLED, Close(1000, "the session was killed")),
    _I.JOB_OVER: (_O.LOST, Close(1000, "the job is over")),
    _I.CLAIM_LOST: (_O.ENDED, Close(COME_BACK, "this reflector lost the session's id to another")),
    _I.MOVE: (_O.SHUT_DOWN, Close(COME_BACK, "the reflector is shutting down")),
}

HOME_TABLE: dict[tuple[HomeState, HomeInput], HomeStep] = {
    **{(state, _I.ATTACHED): HomeStep(_S.HELD, (_A.START, _A.CALL_CLIENTS)) for state in (*_BEFORE, _S.ABSENT)},
    (_S.HELD, _I.ATTACHED): HomeStep(_S.HELD, (_A.REPLACE, _A.START, _A.CALL_CLIENTS), None, REPLACED),
    (_S.CLAIMED, _I.REFUSED): HomeStep(_S.ENDED, _RELEASE, _O.REFUSED),
    **{(state, _I.REFUSED): HomeStep(state) for state in (_S.AWAITED, _S.HELD, _S.ABSENT)},
    (_S.HELD, _I.LOST): HomeStep(_S.ABSENT, (_A.START_HOLD,)),
    (_S.HELD, _I.CLOSED): HomeStep(_S.ENDED, _RELEASE, _O.COMPLETED),
    (_S.HELD, _I.BROKE_RULES): HomeStep(_S.CLOSING, (_A.CLOSE_HOME,), _O.ENDED),
    (_S.ABSENT, _I.HOLD_EXPIRED): HomeStep(_S.ENDED, _RELEASE, _O.ABANDONED),
    **{(state, _I.NO_PAIR): HomeStep(state) for state in (_S.CLAIMED, _S.HELD, _S.ABSENT, _S.CLOSING)},
    (_S.AWAITED, _I.NO_PAIR): HomeStep(_S.ENDED, _RELEASE, _O.LONELY),
    **{
        (state, happened): HomeStep(_S.CLOSING, (_A.CLOSE_HOME,), outcome, close)
        if state is _S.HELD
        else HomeStep(_S.ENDED, _RELEASE, outcome)
        for state in _LIVING
        for happened, (outcome, close) in _ENDS.items()
    },
    **{(_S.CLOSING, gone): HomeStep(_S.ENDED, _RELEASE) for gone in (_I.CLOSED, _I.LOST, _I.CLOSE_EXPIRED)},
    # The agent has been sent a Close. What else happens changes nothing.
    **{(_S.CLOSING, late): HomeStep(_S.CLOSING) for late in (*_ENDS, _I.BROKE_RULES, _I.REFUSED)},
    **{(_S.ENDED, late): HomeStep(_S.ENDED) for late in (*_ENDS, _I.REFUSED, _I.NO_PAIR)},
}
"""Maps (state, input) to the step that the home link then takes. An input is an event, such as LOST."""


class HomeMachine:
    """The state machine of the home link of one session.

    Attributes:
        state: the state now.
        outcome: the outcome of the session. None until a step decides it; then it stays the same.
    """

    __slots__ = ("outcome", "state")

    def __init__(self, state: HomeState = HomeState.CLAIMED) -> None:
        self.state = state
        self.outcome: Outcome | None = None

    def process(self, happened: HomeInput) -> HomeStep:
        """Processes one input (an event). Returns the step; the caller carries out its actions now.

        Raises:
            IllegalInput: the table has no entry for this input in this state. The state is unchanged.
        """
        step = HOME_TABLE.get((self.state, happened))
        if step is None:
            raise IllegalInput("%s while %s" % (happened.name, self.state.name))
        self.state = step.next
        self.outcome = self.outcome or step.outcome
        return step

"""The table of a session that runs one command on a terminal, without a stream. No I/O, no clock.

An input is an event that happens to the session. `TABLE` has an entry for each phase and each input that can happen in
this phase: the next phase, and the actions to carry out. If the input means nothing in this phase, the entry changes
nothing.
"""

from __future__ import annotations

import enum
from typing import Dict, Iterable, NamedTuple, Tuple


class Phase(enum.Enum):
    """The phase that a session is in."""

    WAITING = "for the client's `start`"
    RUNNING = "the child lives"
    DRAINING = "the child has ended; what it wrote last is still being read from its terminal"
    LEAVING = "`exit` or `error` is sent; the client closes the link, or this end does after a while"
    ENDING = "the link is being closed, and processes of the session are being ended"


class Input(enum.Enum):
    """An event that can happen to a session."""

    START = "the client asks for a command"
    STARTED = "the command was started"
    NOT_STARTED = "the command could not be started"
    DATA = "bytes for the terminal"
    RESIZE = "the client's terminal has another size"
    CHILD_EXITED = "the child has ended"
    DRAINED = "all of the child's output is sent, or given up"
    CLIENT_CLOSED = "a Close was received"
    LINK_LOST = "the link is gone without a Close, or the peer is silent"
    PEER_BROKE_PROTOCOL = "the peer broke the protocol and was sent a Close"
    STOPPED = "a signal asks the agent to stop"
    LEAVE_EXPIRED = "the client did not close the link in time"
    FAILED = "an exception that nothing here expects"


class Action(enum.Enum):
    """An action that the loop is to carry out."""

    KEEP_SIZE = "remember the size of the client's terminal"
    START_CHILD = "start the command; STARTED or NOT_STARTED follows"
    SEND_STARTED = "send `started`, then what the user is to see first"
    SEND_ERROR = "send `error` with the reason"
    WRITE_INPUT = "put the bytes before the terminal"
    RESIZE_TERMINAL = "set the terminal's size"
    BEGIN_DRAIN = "drop the input that the child did not read, and start the clocks of the drain"
    SEND_EXIT = "send `exit`"
    SEND_STOPPED = "send `error` with the signal's name, if the link takes it at once"
    HANG_UP = "close the terminal and begin to end the session's processes, if that is not done yet"
    CLOSE_LINK = "send a Close and wait a little for the peer's"


class Step(NamedTuple):
    """An entry of the table: the next phase, and the actions to carry out, in this order."""

    phase: Phase
    actions: Tuple[Action, ...] = ()


_LINKED = (Phase.WAITING, Phase.RUNNING, Phase.DRAINING, Phase.LEAVING)
_END = (Action.HANG_UP, Action.CLOSE_LINK)

TABLE: Dict[Tuple[Phase, Input], Step] = {
    (Phase.WAITING, Input.START): Step(Phase.WAITING, (Action.START_CHILD,)),
    (Phase.WAITING, Input.STARTED): Step(Phase.RUNNING, (Action.SEND_STARTED,)),
    (Phase.WAITING, Input.NOT_STARTED): Step(Phase.LEAVING, (Action.SEND_ERROR,)),
    (Phase.WAITING, Input.RESIZE): Step(Phase.WAITING, (Action.KEEP_SIZE,)),
    (Phase.RUNNING, Input.RESIZE): Step(Phase.RUNNING, (Action.KEEP_SIZE, Action.RESIZE_TERMINAL)),
    (Phase.RUNNING, Input.DATA): Step(Phase.RUNNING, (Action.WRITE_INPUT,)),
    (Phase.RUNNING, Input.CHILD_EXITED): Step(Phase.DRAINING, (Action.BEGIN_DRAIN,)),
    (Phase.DRAINING, Input.DRAINED): Step(Phase.LEAVING, (Action.SEND_EXIT, Action.HANG_UP)),
    (Phase.LEAVING, Input.LEAVE_EXPIRED): Step(Phase.ENDING, _END),
}


def _add(phases: Iterable[Phase], inputs: Iterable[Input], step: Step) -> None:
    for phase in phases:
        for event in inputs:
            TABLE[phase, event] = step


_add(_LINKED, (Input.CLIENT_CLOSED, Input.LINK_LOST, Input.PEER_BROKE_PROTOCOL, Input.FAILED), Step(Phase.ENDING, _END))
_add(_LINKED[:3], (Input.STOPPED,), Step(Phase.ENDING, (Action.SEND_STOPPED, *_END)))
_add((Phase.LEAVING,), (Input.STOPPED,), Step(Phase.ENDING, _END))

# Inputs that the client may send at any time, and inputs that come too late to matter, change nothing.
for _phase in _LINKED:
    for _input in (Input.START, Input.DATA, Input.RESIZE):
        TABLE.setdefault((_phase, _input), Step(_phase))
for _phase in (Phase.DRAINING, Phase.LEAVING):
    TABLE[_phase, Input.CHILD_EXITED] = Step(_phase)

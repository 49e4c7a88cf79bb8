"""The states, events, actions and outcomes of a pair of client and agent."""

from __future__ import annotations

import enum

from medusa.session.members import Named, direct


@direct
class Side(Named):
    """The two ends of a session."""

    CLIENT = "client"
    AGENT = "agent"


@direct
class State(Named):
    """The states that a session can be in."""

    CLAIMED = "the id is taken, the client's upgrade is under way"
    WAITING = "the client waits for an agent"
    WAITING_UPGRADE = "the client waits, and an agent's upgrade is under way"
    LINKED = "both sides are linked"
    CLOSING_BOTH = "both sides have yet to go"
    CLOSING_CLIENT = "the client has yet to go"
    CLOSING_AGENT = "the agent has yet to go"
    ENDED = "the session is over"


STATUS_NAMES = {
    State.CLAIMED: "master_wait",
    State.WAITING: "slave_wait",
    State.WAITING_UPGRADE: "slave_wait",
    State.LINKED: "forwarding",
    State.CLOSING_BOTH: "closing",
    State.CLOSING_CLIENT: "closing",
    State.CLOSING_AGENT: "closing",
    State.ENDED: "post_destroy",
}
"""The name that /status shows for each state: the names that the original Medusa used."""


def stage(state: State) -> str:
    """Returns the name that lists of sessions show for `state`: claimed, waiting, linked, closing or ended."""
    return state.name.partition("_")[0].lower()


HELD, ABSENT = "held", "absent"
"""The names that lists show for a session whose agent waits for a client, and for one whose agent is away."""

WAITING = (State.WAITING, State.WAITING_UPGRADE)
CLOSING = (State.CLOSING_BOTH, State.CLOSING_CLIENT, State.CLOSING_AGENT)


@direct
class Input(Named):
    """The events that can happen to a session."""

    CLIENT_ATTACHED = "the client's upgrade is done"
    CLIENT_REFUSED = "the client's upgrade failed"
    AGENT_EXPECTED = "an agent may join, and its upgrade is to follow"
    AGENT_REFUSED = "the agent's upgrade failed"
    AGENT_ATTACHED = "the agent's upgrade is done"
    CLIENT_CLOSED = "the client sent Close"
    AGENT_CLOSED = "the agent sent Close"
    CLIENT_LOST = "the client's link is gone without a Close"
    AGENT_LOST = "the agent's link is gone without a Close"
    CLIENT_BROKE_RULES = "the client broke the protocol and was sent a Close"
    AGENT_BROKE_RULES = "the agent broke the protocol and was sent a Close"
    WAIT_PULSE = "time to tell the client that there is no agent yet"
    WAIT_EXPIRED = "no agent came in time"
    CALL_DUE = "time to call the agent to this client, which has joined a session"
    CALL_EXPIRED = "the agent has not answered the call in time"
    AGENT_GONE = "the agent cannot be called: the session has no linked side any more"
    CLOSE_EXPIRED = "a side did not answer the Close in time"
    IDLE_NOTICE = "time to tell the client that the session will end, if nothing passes"
    DURATION_NOTICE = "time to tell the client that the session will end"
    DRAIN_NOTICE = "time to tell the client that the reflector will stop"
    IDLE_EXPIRED = "no terminal byte has passed for the idle timeout"
    DURATION_EXPIRED = "the session has lasted as long as one may"
    KILLED = "an administrator wants it to end"
    CLAIM_LOST = "another reflector holds the id now"
    SHUTDOWN = "the reflector stops"


@direct
class Action(Named):
    """The actions that a step can ask the reflector to carry out."""

    START_WAIT = "read the client, start the deadlines of the wait"
    SEND_WAIT = "tell the client to wait"
    SEND_CALL = "tell the agent, over another of its links, that this client waits for it"
    SEND_KILLED = "tell the client that the session was killed, in a form that a program can read"
    SEND_IDLE_NOTICE = "tell the client when the idle session will end"
    SEND_DURATION_NOTICE = "tell the client when the session will end"
    SEND_DRAIN_NOTICE = "tell the client when the session will end because the reflector stops"
    LINK_UP = "tell the client, then the agent, that they are linked; forward from now on"
    DISMISS_AGENT = "close the connection of an agent that came too late"
    HURRY = "wait for no client that reads slowly: after the close deadline, close the connections"
    CLOSE_CLIENT = "send the client a Close, after what is still to be written to it"
    CLOSE_AGENT = "send the agent a Close, after what is still to be written to it"
    FINISH = "start the deadline for both sides to answer"
    RELEASE = "close both connections, free the id, write the usage record"


@direct
class Outcome(enum.Enum):
    """The ways in which a session can end. Every ended session has exactly one outcome."""

    COMPLETED = "completed"
    LONELY = "lonely"
    REFUSED = "refused"
    LOST = "lost"
    EXPIRED = "expired"
    ENDED = "ended"
    IDLE = "idle"
    TOO_LONG = "too_long"
    KILLED = "killed"
    SHUT_DOWN = "shut_down"
    ABANDONED = "abandoned"


OUTCOME_MEANINGS = {
    Outcome.COMPLETED: "a linked side closed politely, or the agent that held the session closed its home link",
    Outcome.LONELY: "the client went away before an agent came",
    Outcome.REFUSED: "the client's upgrade did not come about",
    Outcome.LOST: "a linked side vanished without a Close",
    Outcome.EXPIRED: "no agent came within the wait timeout, or the agent did not answer the call",
    Outcome.ENDED: "the reflector ended it: a side broke the protocol, or the id is another reflector's by now, or "
    "the session ended before its agent answered the call",
    Outcome.IDLE: "no terminal byte passed for the idle timeout",
    Outcome.TOO_LONG: "it reached the maximum duration",
    Outcome.KILLED: "it was killed",
    Outcome.SHUT_DOWN: "the reflector stopped",
    Outcome.ABANDONED: "its agent held it, and was away for longer than its hold time",
}

"""The state machines of a session: of each pair of client and agent, and of the agent's home link. No I/O, no clock.

document  the tables as text, for docs/protocol.md; `python -m medusa.session` prints it
holding   the table of the home link, by which an agent holds its session
members   makes the members of an enum quick to use
machine   the table of a pair: state and event to the next state and the actions
terms     the states, events, actions and outcomes of a pair
"""

from __future__ import annotations

from medusa.session.holding import JOB_OVER
from medusa.session.machine import (
    AGENT_LOST_REASON,
    COME_BACK,
    GOING_AWAY,
    IllegalInput,
    SessionMachine,
    broke_rules,
    closed,
    for_holder,
    lost,
)
from medusa.session.terms import (
    ABSENT,
    CLOSING,
    HELD,
    OUTCOME_MEANINGS,
    STATUS_NAMES,
    WAITING,
    Action,
    Input,
    Outcome,
    Side,
    State,
    stage,
)

__all__ = [
    "ABSENT",
    "AGENT_LOST_REASON",
    "CLOSING",
    "COME_BACK",
    "GOING_AWAY",
    "HELD",
    "JOB_OVER",
    "OUTCOME_MEANINGS",
    "STATUS_NAMES",
    "WAITING",
    "Action",
    "IllegalInput",
    "Input",
    "Outcome",
    "SessionMachine",
    "Side",
    "State",
    "broke_rules",
    "closed",
    "for_holder",
    "lost",
    "stage",
]

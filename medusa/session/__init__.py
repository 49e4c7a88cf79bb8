"""The state machine of one pair of client and agent. No I/O, no clock.

document  the table as text, for docs/protocol.md; `python -m medusa.session` prints it
machine   the table: state and event to the next state and the actions
terms     the states, events, actions and outcomes
"""

from __future__ import annotations

from medusa.session.machine import (
    AGENT_LOST_REASON,
    GOING_AWAY,
    IllegalInput,
    SessionMachine,
    broke_rules,
    closed,
    lost,
)
from medusa.session.terms import (
    CLOSING,
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
    "AGENT_LOST_REASON",
    "CLOSING",
    "GOING_AWAY",
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
    "lost",
    "stage",
]

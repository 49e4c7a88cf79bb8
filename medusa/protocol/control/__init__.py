"""The control messages between client, reflector and agent (docs/protocol.md).

checks    checks the values of the messages' fields
messages  defines, builds and parses the messages
"""

from __future__ import annotations

from medusa.protocol.control.checks import DETACHED, FIRST, HOLD, KEPT_FOR, MAX_WINDOW, PARKED
from medusa.protocol.control.messages import (
    KILLED,
    MESSAGES,
    PEER_PREFIX,
    REFLECTOR_PREFIX,
    Call,
    Control,
    Error,
    Exit,
    Kept,
    Linkup,
    Notice,
    Resize,
    Start,
    Started,
    StreamAnswer,
    Ticket,
    Wait,
    build,
    parse,
)

__all__ = [
    "DETACHED",
    "FIRST",
    "HOLD",
    "KEPT_FOR",
    "KILLED",
    "MAX_WINDOW",
    "MESSAGES",
    "PARKED",
    "PEER_PREFIX",
    "REFLECTOR_PREFIX",
    "Call",
    "Control",
    "Error",
    "Exit",
    "Kept",
    "Linkup",
    "Notice",
    "Resize",
    "Start",
    "Started",
    "StreamAnswer",
    "Ticket",
    "Wait",
    "build",
    "parse",
]

"""Defines, builds and parses control messages (docs/protocol.md).

A control message is a text message that consists of a prefix and one JSON object with a `type`. Only the reflector
sends messages with the prefix `medusa:`. Client and agent send each other messages with the prefix `mlogin:`. Each
message is a record, and has one row in MESSAGES. The metadata of each of its fields is the check of the field's value.

`parse` returns None for text that is no control message, for an unknown type and for broken JSON. A receiver must
ignore these, because the programs of the original Medusa send such texts: its client sends a bare `ping` every 15 s.
"""

from __future__ import annotations

import json
from typing import Any, Dict, Mapping, Optional, Tuple, Type

from medusa.protocol.control.checks import (
    FLAG,
    IDENTIFIER,
    KEPT,
    MESSAGE_LIMIT,
    MODES,
    NAMES,
    NATURAL,
    OFFER,
    OFFSET,
    SECONDS,
    STATUS,
    TEXT,
    TEXTS,
    TICKET,
    VARIABLES,
    VERSION,
    WINDOW,
)
from medusa.protocol.record import field, fields_of, metadata_of, record
from medusa.protocol.resume.offer import StreamOffer
from medusa.protocol.resume.records import LEAST_LIMIT

REFLECTOR_PREFIX = "medusa:"
PEER_PREFIX = "mlogin:"

KILLED = "killed"
"""The `outcome` in a Wait message: an administrator has ended the session."""


@record
class Control:
    """The base class of all control messages."""


@record
class Wait(Control):
    """The message from reflector to client while no agent has attached: says whether the client is to go on waiting.

    Attributes:
        outcome: None if the session still waits for its agent. KILLED if an administrator has ended the session. Then a
            Close follows this message, and the client must not attach again.
    """

    outcome: Optional[str] = field(default=None, metadata=TEXT)


@record
class Linkup(Control):
    """The message from reflector to client and agent that both of them are attached now.

    After this message the reflector forwards all messages between them.
    """


@record
class Notice(Control):
    """The message from reflector to client that holds a text for the user."""

    text: str = field(metadata=TEXT)


@record
class Call(Control):
    """The message from reflector to agent that a client has joined the session, and waits for the agent.

    The agent then makes one more connection to the reflector, which leads to this client.

    Attributes:
        leg: the id of the new connection. The agent sends it in the header field `features.LEG`.
    """

    leg: str = field(metadata=IDENTIFIER)


@record
class Ticket(Control):
    """The message from reflector to client or agent with a new ticket, which replaces the last one.

    With the ticket, the receiver may return to its session after the loss of its connection.
    """

    ticket: str = field(metadata=TICKET)


@record
class Kept(Control):
    """The message from agent to reflector that says why the agent keeps the session while no client is there.

    The agent sends it on its home link, the link by which the reflector calls it.

    Attributes:
        what: the reason, one of KEPT_FOR; None if the agent does not keep the session.
        seconds: for how many seconds the agent keeps it; None to keep it until the job ends.
        ended: a text that says how a command has ended, if no client was told so; None if there is none.
    """

    what: Optional[str] = field(default=None, metadata=KEPT)
    seconds: Optional[int] = field(default=None, metadata=SECONDS)
    ended: Optional[str] = field(default=None, metadata=TEXT)


@record
class Start(Control):
    """The message from client to agent that asks it to start a command in a terminal.

    Empty strings and None mean the agent's defaults.

    Attributes:
        cwd: the working directory.
        term: the value of TERM.
        columns, lines: the size of the user's terminal.
        command, arguments: the program to run, and its arguments.
        modes: the modes of the user's terminal, see medusa/protocol/terminal/modes.py.
        env: variables for the command.
        named: the names in `env` that the user has written in full, not as a pattern. A variable that decides how
            programs run, such as PATH, is accepted only if its name is among these.
        login: True to run the user's login shell, as a login shell, in place of `command`. Then the agent leaves out a
            `--norc` at the start of `arguments`, which is meant for agents that do not know this field.
        stream: the client's offer of a stream. An agent that accepts it answers with StreamAnswer, and starts nothing
            for this `start`.
    """

    cwd: str = field(default="", metadata=TEXT)
    term: str = field(default="", metadata=TEXT)
    columns: Optional[int] = field(default=None, metadata=WINDOW)
    lines: Optional[int] = field(default=None, metadata=WINDOW)
    command: str = field(default="", metadata=TEXT)
    arguments: Tuple[str, ...] = field(default=(), metadata=TEXTS)
    modes: Optional[str] = field(default=None, metadata=MODES)
    env: Optional[Mapping[str, str]] = field(default=None, metadata=VARIABLES)
    named: Optional[Tuple[str, ...]] = field(default=None, metadata=NAMES)
    login: Optional[bool] = field(default=None, metadata=FLAG)
    stream: Optional[StreamOffer] = field(default=None, metadata=OFFER)


@record
class StreamAnswer(Control):
    """The message from agent to client that answers the offer of a stream.

    After it, each binary message holds records of the stream.

    Attributes:
        id: the stream's id.
        received: the number of bytes of the stream that have arrived at the agent.
        incarnation: names the agent's process, 32 hexadecimal digits.
        features: the names of what the agent supports beyond this version.
        gone: True if the agent does not have the stream that the client wants to resume. Then there is no stream.
        message: the length of the longest message that the agent reads, in bytes.
    """

    id: str = field(metadata=IDENTIFIER)
    received: int = field(metadata=OFFSET)
    incarnation: str = field(metadata=IDENTIFIER)
    features: Optional[Tuple[str, ...]] = field(default=(), metadata=NAMES)
    version: int = field(default=1, metadata=VERSION)
    gone: Optional[bool] = field(default=None, metadata=FLAG)
    message: int = field(default=LEAST_LIMIT, metadata=MESSAGE_LIMIT)


@record
class Resize(Control):
    """The message from client to agent that the size of the user's terminal has changed. It holds the new size."""

    columns: int = field(metadata=WINDOW)
    lines: int = field(metadata=WINDOW)


@record
class Started(Control):
    """The message from agent to client that the command was started. `pid` is its process id."""

    pid: int = field(metadata=NATURAL)


@record
class Error(Control):
    """The message from agent to client that the command could not be started. `error` says why."""

    error: str = field(metadata=TEXT)


@record
class Exit(Control):
    """The message from agent to client that the command has ended, and that all of its output was sent.

    An agent of the original Medusa sends neither `status` nor `signal`. So if both are None, the command has ended
    normally with an unknown status.

    Attributes:
        status: the command's exit status; None if a signal ended the command.
        signal: the name of the signal that ended the command; None if the command ended by itself.
    """

    status: Optional[int] = field(default=None, metadata=STATUS)
    signal: Optional[str] = field(default=None, metadata=TEXT)


MESSAGES: Dict[Tuple[str, str], Type[Any]] = {
    (REFLECTOR_PREFIX, "wait"): Wait,
    (REFLECTOR_PREFIX, "linkup"): Linkup,
    (REFLECTOR_PREFIX, "notice"): Notice,
    (REFLECTOR_PREFIX, "call"): Call,
    (REFLECTOR_PREFIX, "ticket"): Ticket,
    (PEER_PREFIX, "kept"): Kept,
    (PEER_PREFIX, "start"): Start,
    (PEER_PREFIX, "resize"): Resize,
    (PEER_PREFIX, "stream"): StreamAnswer,
    (PEER_PREFIX, "started"): Started,
    (PEER_PREFIX, "error"): Error,
    (PEER_PREFIX, "exit"): Exit,
}
"""Maps (prefix, `type` in the JSON object) to the class of the message."""

_NAMES = {cls: key for key, cls in MESSAGES.items()}


def build(message: Control) -> str:
    """Returns the text of a control message. Leaves out the fields that are None."""
    prefix, name = _NAMES[type(message)]
    body: Dict[str, Any] = {"type": name}
    body.update((key, value) for key, value in fields_of(message).items() if value is not None)
    return prefix + json.dumps(body, separators=(",", ":"), default=fields_of)


def parse(text: str) -> Optional[Control]:
    """Returns the control message in `text`.

    Returns None if `text` is no control message, its `type` is unknown, or a field is missing or has a wrong value.
    """
    for prefix in (REFLECTOR_PREFIX, PEER_PREFIX):
        if text.startswith(prefix):
            return _parse_body(prefix, text[len(prefix) :])
    return None


def _parse_body(prefix: str, body: str) -> Optional[Control]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    name = found.get("type")
    cls = MESSAGES.get((prefix, name)) if isinstance(name, str) else None
    if cls is None:
        return None
    try:
        given = {name: check(found[name]) for name, check in metadata_of(cls).items() if name in found}
        message: Control = cls(**given)
    except (TypeError, ValueError):
        return None
    return message

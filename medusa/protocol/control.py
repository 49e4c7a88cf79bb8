"""Defines, builds and parses control messages (docs/protocol.md).

A control message is a text message that consists of a prefix and one JSON object with a `type`. Only the reflector
sends messages with the prefix `medusa:`. Client and agent send each other messages with the prefix `mlogin:`. Each
message is a dataclass, and has one row in MESSAGES. The metadata of each field of the dataclass holds the check of its
value.

`parse` returns None for text that is no control message, for an unknown type and for broken JSON. A receiver must
ignore these, because the programs of the original Medusa send such texts: its client sends a bare `ping` every 15 s.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Callable, Dict, Mapping, Optional, Tuple, Type

from medusa.protocol.resume.offer import MAX_KEEP, StreamOffer, check_identifier, check_offer
from medusa.protocol.resume.records import LEAST_LIMIT

REFLECTOR_PREFIX = "medusa:"
PEER_PREFIX = "mlogin:"

KILLED = "killed"
"""The `outcome` in a Wait message: an administrator has ended the session."""

MAX_WINDOW = 0xFFFF
"""The largest number of columns or lines: the kernel's struct winsize holds unsigned shorts."""


DETACHED, PARKED, HOLD, FIRST = KEPT_FOR = ("detached", "parked", "hold", "first")
"""What an agent keeps a session for: terminals that users have left; streams without a link, and outcomes that no
client was told; a step that has failed; the first client."""


@dataclass(frozen=True)
class Control:
    """The base class of all control messages."""


# ---------------------------------------------------------------------- checks
# Each check takes a value from the parsed JSON and returns the value for the field, or raises ValueError.


def check_text(value: Any) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise ValueError("not a string")
    # Bytes of a command line that are not UTF-8 are sent as U+DC80..U+DCFF (PEP 383). Other lone surrogates fail here.
    value.encode("utf-8", "surrogateescape")
    return value


def _texts(value: Any) -> Tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError("not a list")
    return tuple([check_text(item) for item in value])


def check_integer(low: int, high: int) -> Callable[[Any], int]:
    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError("not a whole number in range")
        return value

    return check


_natural = check_integer(0, 1 << 53)


def check_window(value: Any) -> int:
    # A terminal of unknown size reports 0. The original's clients then send 0 or an absurdly large number, which must
    # not make the message invalid.
    return min(_natural(value), MAX_WINDOW)


def _variables(value: Any) -> Optional[Dict[str, str]]:
    # A wrong value counts as none: a command without these variables is better than no command.
    if not isinstance(value, dict):
        return None
    return {name: text for name, text in value.items() if isinstance(text, str)}


def _names(value: Any) -> Optional[Tuple[str, ...]]:
    return tuple(name for name in value if isinstance(name, str)) if isinstance(value, list) else None


def _modes(value: Any) -> Optional[str]:
    return value if isinstance(value, str) and re.fullmatch("(?:[0-9a-f]{2})*", value) else None


def _ticket(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch("[A-Za-z0-9_.-]{1,512}", value):
        raise ValueError("not a ticket")
    return value


def _kept(value: Any) -> str:
    if value not in KEPT_FOR:
        raise ValueError("not a reason to keep a session")
    return str(value)


def _check(function: Callable[[Any], object]) -> Mapping[str, Any]:
    return {"check": function}


_TEXT, _TEXTS, _NATURAL, _WINDOW = map(_check, (check_text, _texts, _natural, check_window))
_VARIABLES, _NAMES_OF_THEM, _MODES = map(_check, (_variables, _names, _modes))
_LOGIN = _TRUE = _check(lambda value: value is True or None)
_IDENTIFIER, _OFFER, _FEATURES = map(_check, (check_identifier, check_offer, _names))
_TICKET = _check(_ticket)
_OFFSET = _check(check_integer(0, (1 << 63) - 1))
_STATUS = _check(check_integer(0, 255))
_KEPT = _check(_kept)
_SECONDS = _check(lambda value: None if value is None else check_integer(0, MAX_KEEP)(value))


# ---------------------------------------------------------------------- messages


@dataclass(frozen=True)
class Wait(Control):
    """The message from reflector to client while no agent has attached: says whether the client is to go on waiting.

    Attributes:
        outcome: None if the session still waits for its agent. KILLED if an administrator has ended the session. Then a
            Close follows this message, and the client must not attach again.
    """

    outcome: Optional[str] = field(default=None, metadata=_TEXT)


@dataclass(frozen=True)
class Linkup(Control):
    """The message from reflector to client and agent that both of them are attached now.

    After this message the reflector forwards all messages between them.
    """


@dataclass(frozen=True)
class Notice(Control):
    """The message from reflector to client that holds a text for the user."""

    text: str = field(metadata=_TEXT)


@dataclass(frozen=True)
class Call(Control):
    """The message from reflector to agent that a client has joined the session, and waits for the agent.

    The agent then makes one more connection to the reflector, which leads to this client.

    Attributes:
        leg: the id of the new connection. The agent sends it in the header field `features.LEG`.
    """

    leg: str = field(metadata=_IDENTIFIER)


@dataclass(frozen=True)
class Ticket(Control):
    """The message from reflector to client or agent with a new ticket, which replaces the last one.

    With the ticket, the receiver may return to its session after the loss of its connection.
    """

    ticket: str = field(metadata=_TICKET)


@dataclass(frozen=True)
class Kept(Control):
    """The message from agent to reflector that says why the agent keeps the session while no client is there.

    The agent sends it on its home link, the link by which the reflector calls it.

    Attributes:
        what: the reason, one of KEPT_FOR; None if the agent does not keep the session.
        seconds: for how many seconds the agent keeps it; None to keep it until the job ends.
    """

    what: Optional[str] = field(default=None, metadata=_KEPT)
    seconds: Optional[int] = field(default=None, metadata=_SECONDS)


@dataclass(frozen=True)
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

    cwd: str = field(default="", metadata=_TEXT)
    term: str = field(default="", metadata=_TEXT)
    columns: Optional[int] = field(default=None, metadata=_WINDOW)
    lines: Optional[int] = field(default=None, metadata=_WINDOW)
    command: str = field(default="", metadata=_TEXT)
    arguments: Tuple[str, ...] = field(default=(), metadata=_TEXTS)
    modes: Optional[str] = field(default=None, metadata=_MODES)
    env: Optional[Mapping[str, str]] = field(default=None, metadata=_VARIABLES)
    named: Optional[Tuple[str, ...]] = field(default=None, metadata=_NAMES_OF_THEM)
    login: Optional[bool] = field(default=None, metadata=_LOGIN)
    stream: Optional[StreamOffer] = field(default=None, metadata=_OFFER)


@dataclass(frozen=True)
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

    id: str = field(metadata=_IDENTIFIER)
    received: int = field(metadata=_OFFSET)
    incarnation: str = field(metadata=_IDENTIFIER)
    features: Optional[Tuple[str, ...]] = field(default=(), metadata=_FEATURES)
    version: int = field(default=1, metadata=_check(check_integer(1, 1)))
    gone: Optional[bool] = field(default=None, metadata=_TRUE)
    message: int = field(default=LEAST_LIMIT, metadata=_check(check_integer(LEAST_LIMIT, 1 << 53)))


@dataclass(frozen=True)
class Resize(Control):
    """The message from client to agent that the size of the user's terminal has changed. It holds the new size."""

    columns: int = field(metadata=_WINDOW)
    lines: int = field(metadata=_WINDOW)


@dataclass(frozen=True)
class Started(Control):
    """The message from agent to client that the command was started. `pid` is its process id."""

    pid: int = field(metadata=_NATURAL)


@dataclass(frozen=True)
class Error(Control):
    """The message from agent to client that the command could not be started. `error` says why."""

    error: str = field(metadata=_TEXT)


@dataclass(frozen=True)
class Exit(Control):
    """The message from agent to client that the command has ended, and that all of its output was sent.

    An agent of the original Medusa sends neither `status` nor `signal`. So if both are None, the command has ended
    normally with an unknown status.

    Attributes:
        status: the command's exit status; None if a signal ended the command.
        signal: the name of the signal that ended the command; None if the command ended by itself.
    """

    status: Optional[int] = field(default=None, metadata=_STATUS)
    signal: Optional[str] = field(default=None, metadata=_TEXT)


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
    body.update((key, value) for key, value in asdict(message).items() if value is not None)
    return prefix + json.dumps(body, separators=(",", ":"))


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
        record = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict):
        return None
    name = record.get("type")
    cls = MESSAGES.get((prefix, name)) if isinstance(name, str) else None
    if cls is None:
        return None
    try:
        given = {f.name: f.metadata["check"](record[f.name]) for f in fields(cls) if f.name in record}
        message: Control = cls(**given)
    except (TypeError, ValueError):
        return None
    return message

"""Lists the kinds of channels and of requests (docs/protocol.md, part 3).

Says for each kind of channel which end may open it, and which parameters and subs (directions of bytes) it has.
"""

from __future__ import annotations

import enum
from typing import Any, Callable, Dict, Mapping, NamedTuple, Optional, Tuple, Union

from medusa.protocol.control.checks import check_integer, check_text, check_window

STDIN, STDOUT, STDERR = 0, 1, 2

MAX_NAME, MAX_PATH = 255, 4096
"""The limits of names and of paths in parameters, in characters."""


class Role(enum.IntEnum):
    """The role of an end of a stream: client or agent.

    The value is the number of the first channel that this end opens. The client numbers its channels 1, 3, 5 and so on,
    the agent 2, 4, 6.
    """

    CLIENT = 1
    AGENT = 2


REQUIRED = object()
"""Takes the place of the default in the description of a field that must be given."""

Check = Callable[[Any], Any]
Fields = Mapping[str, Tuple[Check, Any]]
"""Name of a field -> (function, default). The function checks a value, and returns it or raises ValueError."""


def parse(given: Mapping[str, Any], fields: Fields) -> Dict[str, Any]:
    """Checks `given`, a parsed JSON object, and returns the values of all `fields`, by name.

    A field that is missing in `given`, or null, gets its default. Names in `given` that are not in `fields` are
    ignored.

    Raises:
        ValueError: a field without a default is missing, or a field has a wrong value. The text names the field.
    """
    found = {}
    for name, (check, default) in fields.items():
        value = given.get(name)
        if value is None:
            if default is REQUIRED:
                raise ValueError("%s is missing" % name)
            found[name] = default
            continue
        try:
            found[name] = check(value)
        except ValueError as error:
            raise ValueError("%s: %s" % (name, error)) from None
    return found


def _short(limit: int) -> Check:
    def check(value: Any) -> str:
        if len(check_text(value)) > limit:
            raise ValueError("longer than %d characters" % limit)
        return str(value)

    return check


def _terminal(value: Any) -> Union[int, str]:
    return int(check_integer(1, (1 << 31) - 1)(value)) if isinstance(value, int) else str(_NAME(value))


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("neither true nor false")
    return value


def _variables(value: Any) -> Dict[str, str]:
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return {check_text(name): check_text(item) for name, item in value.items()}


def _names(value: Any) -> Tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError("not a list")
    return tuple([check_text(item) for item in value])


def _pty(value: Any) -> Dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return parse(value, _PTY)


_NAME, _PATH = _short(MAX_NAME), _short(MAX_PATH)
_PORT = check_integer(1, 65535)
_SIZE: Fields = {"columns": (check_window, REQUIRED), "lines": (check_window, REQUIRED)}
_PTY: Fields = {**_SIZE, "term": (_NAME, ""), "modes": (_PATH, "")}


CRC32 = "crc32"
"""The check of bytes that both ends of a channel agree on: OPEN and OPENED have it in the field `check`.

It is for connections and terminals. Without it, or if the other end does not know it, the check is the SHA-256. That
takes more time than all else that is done with the bytes of a connection.
"""

_CHECK: Fields = {"check": (_NAME, "")}

FORWARDED = ("tcp", "unix", "listen")
"""The kinds of channels for connections that the agent makes or accepts for the client."""


class Kind(NamedTuple):
    """A kind of channel.

    Attributes:
        opener: the end that may open the channel.
        fields: the parameters in the frame OPEN, with their checks and defaults.
        subs: two tuples: the numbers of the subs that the opener sends, and of those that the other end sends. A sub is
            one direction of bytes, such as stdin.
        result: True if the end that accepts the channel sends a RESULT, which says how the command has ended.
    """

    opener: Role
    fields: Fields
    subs: Tuple[Tuple[int, ...], Tuple[int, ...]] = ((0,), (0,))
    result: bool = False


KINDS: Dict[str, Kind] = {
    "session": Kind(
        Role.CLIENT,
        {
            "command": (check_text, None),
            "pty": (_pty, None),
            "env": (_variables, {}),
            "named": (_names, ()),
            "login": (_boolean, None),
            "cwd": (_PATH, ""),
            "name": (_NAME, ""),
            "background": (_boolean, False),
            **_CHECK,
        },
        ((STDIN,), (STDOUT, STDERR)),
        True,
    ),
    "attach": Kind(
        Role.CLIENT,
        {
            "terminal": (_terminal, None),
            "pty": (_pty, None),
            "replay": (check_integer(0, 1 << 20), 1 << 20),
            "read_only": (_boolean, False),
            "steal": (_boolean, False),
            "inside": (_NAME, ""),
            **_CHECK,
        },
        ((STDIN,), (STDOUT,)),
        True,
    ),
    "tcp": Kind(Role.CLIENT, {"host": (_NAME, REQUIRED), "port": (_PORT, REQUIRED), **_CHECK}),
    "unix": Kind(Role.CLIENT, {"path": (_PATH, REQUIRED), **_CHECK}),
    "listen": Kind(
        Role.CLIENT,
        {"host": (_NAME, ""), "port": (check_integer(0, 65535), 0), "path": (_PATH, "")},
        ((), ()),
    ),
    "accepted": Kind(
        Role.AGENT, {"listener": (check_integer(1, (1 << 32) - 1), REQUIRED), "peer": (_PATH, ""), **_CHECK}
    ),
    "sftp": Kind(Role.CLIENT, {"cwd": (_PATH, ""), "own": (_boolean, False)}),
    "info": Kind(Role.CLIENT, {}, ((), (0,))),
}

REQUESTS: Dict[str, Fields] = {
    "resize": _SIZE,
    "signal": {"name": (_NAME, REQUIRED)},
    "detach": {},
}

RESULT: Fields = {"status": (check_integer(0, 255), None), "signal": (_NAME, None)}


def is_terminal(kind: str, parameters: Mapping[str, Any]) -> bool:
    """Returns True if a channel with this kind and these parameters shows a terminal.

    Then the sub 1 (the bytes to the client) is the terminal's output.
    """
    return kind == "attach" or (kind == "session" and parameters["pty"] is not None)


def has_short_check(kind: str, parameters: Mapping[str, Any]) -> bool:
    """Returns True if a channel with this kind and these parameters has CRC32 if both ends know it."""
    return is_terminal(kind, parameters) or kind in ("tcp", "unix", "accepted")


def subs(kind: str, parameters: Mapping[str, Any]) -> Tuple[Tuple[int, ...], Tuple[int, ...]]:
    """Returns the numbers of a channel's subs (directions of bytes) in two tuples.

    Returns:
        (subs that the opener of the channel sends, subs that the other end sends)
    """
    if kind == "session" and parameters["pty"] is not None:
        return (STDIN,), (STDOUT,)
    if kind == "attach" and parameters["read_only"]:
        return (), (STDOUT,)
    return KINDS[kind].subs


def parse_result(given: Mapping[str, Any]) -> Dict[str, Any]:
    """Checks `given`, the JSON object of a RESULT frame. Returns its fields `status` and `signal`; one of them is None.

    Raises:
        ValueError: a field has a wrong value, both fields are given, or none is given.
    """
    found = parse(given, RESULT)
    if (found["status"] is None) is (found["signal"] is None):
        raise ValueError("neither a status nor a signal, or both")
    return found


def parse_request(given: Mapping[str, Any]) -> Optional[Dict[str, Any]]:
    """Checks `given`, the JSON object of a REQUEST frame. Returns its `type` and its fields in one dictionary.

    Returns None if the type is unknown.

    Raises:
        ValueError: a field is missing or has a wrong value.
    """
    name = given.get("type")
    if not isinstance(name, str) or name not in REQUESTS:
        return None
    return {"type": name, **parse(given, REQUESTS[name])}

"""The kinds of channels and of requests: who may open one, its parameters, and its subs (docs/protocol.md, part 3)."""

from __future__ import annotations

import enum
from typing import Any, Callable, Dict, Mapping, NamedTuple, Optional, Tuple

from medusa.protocol.control import check_integer, check_text, check_window

STDIN, STDOUT, STDERR = 0, 1, 2

MAX_NAME, MAX_PATH = 255, 4096
"""The limits of names and of paths in parameters, in characters."""


class Role(enum.IntEnum):
    """The role of an end of a stream. The number is that of its first channel; the next ones have every second one."""

    CLIENT = 1
    AGENT = 2


REQUIRED = object()
"""Stands for the default of a field that has none."""

Check = Callable[[Any], Any]
Fields = Mapping[str, Tuple[Check, Any]]
"""Maps the name of a field to a function, which returns its value or raises ValueError, and to its default."""


def parse(given: Mapping[str, Any], fields: Fields) -> Dict[str, Any]:
    """Returns the values of all `fields`. Ignores unknown ones, and takes null for a field that is not there.

    Raises:
        ValueError: a field is missing or has a wrong value. The text names it.
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


class Kind(NamedTuple):
    """A kind of channel.

    Attributes:
        opener: the end that may open it.
        subs: the subs that the opener sends, and those that the other end sends.
        result: True if the other end sends a RESULT.
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
        },
        ((STDIN,), (STDOUT, STDERR)),
        True,
    ),
    "attach": Kind(
        Role.CLIENT,
        {
            "terminal": (_NAME, ""),
            "replay": (check_integer(0, 1 << 20), 1 << 20),
            "read_only": (_boolean, False),
            "steal": (_boolean, False),
        },
        ((STDIN,), (STDOUT,)),
        True,
    ),
    "tcp": Kind(Role.CLIENT, {"host": (_NAME, REQUIRED), "port": (_PORT, REQUIRED)}),
    "unix": Kind(Role.CLIENT, {"path": (_PATH, REQUIRED)}),
    "listen": Kind(
        Role.CLIENT,
        {"host": (_NAME, ""), "port": (check_integer(0, 65535), 0), "path": (_PATH, "")},
        ((), ()),
    ),
    "accepted": Kind(Role.AGENT, {"listener": (check_integer(1, (1 << 32) - 1), REQUIRED), "peer": (_PATH, "")}),
    "sftp": Kind(Role.CLIENT, {}),
    "info": Kind(Role.CLIENT, {}, ((), (0,))),
}

REQUESTS: Dict[str, Fields] = {
    "resize": _SIZE,
    "signal": {"name": (_NAME, REQUIRED)},
    "detach": {},
}

RESULT: Fields = {"status": (check_integer(0, 255), None), "signal": (_NAME, None)}


def is_terminal(kind: str, parameters: Mapping[str, Any]) -> bool:
    """Returns True if sub 1 of the channel is the output of a terminal."""
    return kind == "attach" or (kind == "session" and parameters["pty"] is not None)


def subs(kind: str, parameters: Mapping[str, Any]) -> Tuple[Tuple[int, ...], Tuple[int, ...]]:
    """Returns the subs that the opener of a channel sends, and those that the other end sends."""
    if kind == "session" and parameters["pty"] is not None:
        return (STDIN,), (STDOUT,)
    if kind == "attach" and parameters["read_only"]:
        return (), (STDOUT,)
    return KINDS[kind].subs


def parse_result(given: Mapping[str, Any]) -> Dict[str, Any]:
    """Returns `status` and `signal` of a RESULT, of which one is None. Raises ValueError if it has not one of both."""
    found = parse(given, RESULT)
    if (found["status"] is None) is (found["signal"] is None):
        raise ValueError("neither a status nor a signal, or both")
    return found


def parse_request(given: Mapping[str, Any]) -> Optional[Dict[str, Any]]:
    """Returns the `type` and the fields of a REQUEST; None if its type is unknown. Raises ValueError: a wrong field."""
    name = given.get("type")
    if not isinstance(name, str) or name not in REQUESTS:
        return None
    return {"type": name, **parse(given, REQUESTS[name])}

"""Decides what to run for a channel of the kind `session` (docs/protocol.md, part 3)."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional

from agent.command.login_shell import login_of
from agent.command.resolve import CannotStart, Launch, in_home, resolve
from medusa.protocol.control import Start
from medusa.protocol.record import replace
from medusa.protocol.terminal.environment import checked

BASH = "/bin/bash"


def resolve_session(fields: Mapping[str, Any], environ: Mapping[str, str], *, login_shell: bool = True) -> Launch:
    """Returns the command to start for a channel that the client opens.

    Args:
        fields: the fields of the client's OPEN, the frame that opens a channel.
        environ: the agent's environment.
        login_shell: False to start no login shell, even if the client asks for one.

    Raises:
        CannotStart: there is no such program or directory, or a variable that the user has named cannot be set.
    """
    start = _start(fields)
    if not login_shell:
        start = replace(start, login=None)
    refused = [name for name in start.named or () if name not in checked(start.env or {}, start.named or ())]
    if refused:
        raise CannotStart("these variables cannot be set, or are too large: %s" % ", ".join(refused[:10]))
    launch = resolve(start, None, environ)
    env = launch.env if fields["pty"] else _without_terminal(launch.env, start, environ)
    return replace(launch, env={**login_of(environ).variables, **env})  # jobs of some systems lack USER, for example


def _start(fields: Mapping[str, Any]) -> Start:
    """Converts the fields of an OPEN (the frame that opens a channel) to the message `start` for the same command.

    Clients without streams ask for a command by this message.
    """
    command, pty, login = fields["command"], fields["pty"] or {}, fields["login"]
    return Start(
        in_home(fields["cwd"]),
        pty.get("term", ""),
        pty.get("columns"),
        pty.get("lines"),
        BASH,
        ("--norc",) if command is None else ("-c", command),
        _hexadecimal(pty.get("modes", "")),
        fields["env"],
        tuple(name for name in fields["named"] if name in fields["env"]),
        (command is None if login is None else login) or None,
    )


def _hexadecimal(modes: str) -> Optional[str]:
    # A wrong value counts as none, which is the rule of `start` too.
    try:
        return bytes.fromhex(modes).hex()
    except ValueError:
        return None


def _without_terminal(env: Mapping[str, str], start: Start, environ: Mapping[str, str]) -> Dict[str, str]:
    """Returns the variables of a command on pipes, which needs no prompt and no terminal.

    PS1 and TERM remain only if the client has sent them. If it has sent no TERM, the result has the TERM of the job.

    Args:
        env: the variables that the command would have on a terminal.
        start: the client's request.
        environ: the agent's environment.
    """
    asked = start.env or {}
    kept = {name: value for name, value in env.items() if name not in ("PS1", "TERM") or name in asked}
    if "TERM" in environ:
        kept.setdefault("TERM", environ["TERM"])
    return kept

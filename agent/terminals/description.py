"""Describes a terminal and the end of its command, for clients."""

from __future__ import annotations

from typing import Any, Dict

from agent.terminals.terminal import Terminal
from medusa.protocol.control import Exit

MAX_TEXT = 60
"""The most characters of a name and of a command that `describe` returns. So all terminals fit into one frame."""


def result_of(end: Exit) -> Dict[str, Any]:
    """Returns the fields of a RESULT, the message that tells a client how a command has ended."""
    return {"signal": end.signal} if end.signal else {"status": end.status}


def describe(terminal: Terminal) -> Dict[str, Any]:
    """Returns a description of `terminal`, for a client that asks which terminals there are."""
    end, command = terminal.child.exit, terminal.command
    return {
        "number": terminal.number,
        "name": terminal.name[:MAX_TEXT],
        "command": command and command[:MAX_TEXT],
        "pid": terminal.child.pid,
        "columns": terminal.size.columns,
        "lines": terminal.size.lines,
        "viewers": len(terminal.viewers),
        "detached": terminal.detached,
        **({} if end is None else result_of(end)),
    }

"""Starts the command of a channel of the kind `session`."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Union

from agent.command.resolve import CannotStart
from agent.command.wish import resolve_session
from agent.process.commands import Commands
from agent.process.context import Context
from agent.process.pipe_child import PipeChild
from agent.process.terminal_child import TerminalChild
from agent.streams.session_channel import SessionChannel
from agent.streams.shared import MAX_TERMINALS, Shared
from agent.streams.terminal_ends import TerminalEnds
from medusa.protocol.channels.channel import Channel

LIMIT = "limit"


def amend(fields: Dict[str, Any], request: Mapping[str, Any]) -> None:
    """Changes the fields of an OPEN (which asks for a command) by a request that came before the command started.

    Only the request that tells a new size of the client's terminal changes them. Others are ignored.
    """
    if request["type"] == "resize" and fields["pty"] is not None:
        fields["pty"].update(columns=request["columns"], lines=request["lines"])


def open_session(
    channel: Channel, fields: Mapping[str, Any], commands: Commands, context: Context, shared: Shared
) -> SessionChannel:
    """Starts the command that the client asks for. Accept the channel next.

    Args:
        fields: the fields of the OPEN frame, by which the client has opened the channel.

    Raises:
        CannotStart: the command cannot be started. Refuse the channel.
    """
    terminal = fields["pty"] is not None
    if terminal and shared.terminals >= MAX_TERMINALS:
        raise CannotStart("this job has %d terminals already; end one of them first" % MAX_TERMINALS, LIMIT)
    launch = resolve_session(fields, context.environ, login_shell=context.login_shell)
    for note in launch.notes:
        context.log(note)
    if terminal:
        on_terminal = TerminalChild.start(launch, context.guard, context.clock, context.timeouts, context.inherited)
        ends: Union[TerminalEnds, PipeChild] = TerminalEnds(on_terminal, shared.take_preface())
        child: Union[TerminalChild, PipeChild] = on_terminal
        shared.terminals += 1
    else:
        ends = child = PipeChild.start(launch, context.guard, context.inherited)
    commands.add(child)
    context.log("started %s, pid %d" % (launch.argv[0], child.pid))
    return SessionChannel(channel, child, ends, commands, context)

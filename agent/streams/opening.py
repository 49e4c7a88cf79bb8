"""Opens the channels that a client asks for: starts a command, or attaches the client to a terminal."""

from __future__ import annotations

import os
from typing import Any, Dict, List, Mapping, Optional, Union

from agent.command.file_server import resolve_files
from agent.command.resolve import CannotStart
from agent.command.wish import resolve_session
from agent.process.commands import Commands
from agent.process.context import Context
from agent.process.pipe_child import STDERR, STDOUT, PipeChild
from agent.process.terminal_child import TerminalChild
from agent.streams.session_channel import SessionChannel
from agent.streams.shared import Shared
from agent.terminals.interfaces import Streaming
from agent.terminals.terminal import Terminal
from agent.terminals.viewer import Viewer
from medusa.protocol.channels.channel import Channel
from medusa.protocol.control import Resize
from medusa.protocol.terminal.environment import MARK

Opened = Union[SessionChannel, Viewer]


def amend(fields: Dict[str, Any], request: Mapping[str, Any]) -> None:
    """Changes `fields` (of an OPEN that asks for a command) by a request that came before the command was started.

    Only a request `resize` changes them: it tells a new size of the client's terminal.
    """
    if request["type"] == "resize" and fields.get("pty") is not None:
        fields["pty"].update(columns=request["columns"], lines=request["lines"])


class Opener:
    """Opens the channels of one stream: starts their commands, or attaches them to terminals."""

    def __init__(self, commands: Commands, context: Context, shared: Shared, stream: Streaming) -> None:
        self._commands, self._context, self._shared, self._stream = commands, context, shared, stream

    def open(self, channel: Channel, fields: Mapping[str, Any]) -> Optional[Opened]:
        """Carries out the client's request. Returns the object that serves the channel from now on, or None.

        If the result is an object, the caller accepts the channel next. If the client only asked which terminals there
        are, this method answers, closes the channel and returns None.

        Args:
            channel: the channel that the client has opened.
            fields: the fields of the OPEN frame by which the client has opened the channel.

        Raises:
            CannotStart: the request cannot be carried out. The caller refuses the channel.
        """
        if channel.kind == "session":
            return self._start(channel, fields)
        if channel.kind == "attach":
            return self._attach(channel, fields)
        if channel.kind == "sftp":
            return self._serve_files(channel, fields)
        channel.accept(terminals=self._shared.terminals.describe(), parked=self._parked())
        channel.close()
        return None

    def _parked(self) -> List[int]:
        """Returns for how many more seconds each stream without a link is kept."""
        now = self._context.clock()
        return [max(0, round(until - now)) for until in self._shared.parked()]

    def _start(self, channel: Channel, fields: Mapping[str, Any]) -> Opened:
        context, commands, terminals = self._context, self._commands, self._shared.terminals
        if fields["pty"] is not None:
            terminals.make_room()
        launch = resolve_session(fields, context.environ, login_shell=context.login_shell)
        mark = os.urandom(8).hex()
        for note in launch.notes:
            context.log(note)
        if fields["pty"] is None:
            pipes = PipeChild.start(launch, context.guard, context.inherited)
            pipes.background = fields["background"]
            commands.add(pipes)
            opened: Opened = SessionChannel(channel, pipes, commands, context)
            pid = pipes.pid
        else:
            launch.env[MARK] = mark
            child = TerminalChild.start(launch, context.guard, context.clock, context.timeouts, context.inherited)
            child.background = fields["background"]
            commands.add(child)
            terminal = terminals.add(
                lambda number: Terminal(number, fields, child, launch.size, terminals.memory, commands, context)
            )
            terminal.mark = mark
            terminal.ring.append(self._shared.take_preface())
            opened = Viewer(channel, terminal, context, self._stream, launch.size)
            terminal.add(opened)
            pid = child.pid
        context.log("started %s, pid %d" % (launch.argv[0], pid))
        return opened

    def _serve_files(self, channel: Channel, fields: Mapping[str, Any]) -> SessionChannel:
        """Starts an SFTP server. Its output goes to sub 0; it has no standard error."""
        launch = resolve_files(fields, self._context.environ, _serve)
        pipes = PipeChild.start(launch, self._context.guard, self._context.inherited)
        pipes.close(STDERR)
        self._commands.add(pipes)
        self._context.log("started %s, pid %d" % (launch.argv[0], pipes.pid))
        return SessionChannel(channel, pipes, self._commands, self._context, {0: STDOUT})

    def _attach(self, channel: Channel, fields: Mapping[str, Any]) -> Viewer:
        left = self._parked()
        words = left and "; clients whose links are lost: %d, kept for %d s at most" % (len(left), max(left))
        terminal, pty = self._shared.terminals.find(fields["terminal"], words or ""), fields["pty"]
        if fields["inside"] == terminal.mark:
            words = "%s says that this program runs in that terminal, which would show its own output for ever" % MARK
            raise CannotStart(words, "own-terminal")
        size = None if pty is None else Resize(pty["columns"], pty["lines"])
        viewer = Viewer(channel, terminal, self._context, self._stream, size, read_only=fields["read_only"])
        viewer.replay(fields["replay"])
        terminal.add(viewer, steal=fields["steal"], redraw=True)
        self._context.log("attached to terminal %d" % terminal.number)
        return viewer


def _serve() -> int:
    """Runs the SFTP server in its process."""
    from agent.sftp.serve import serve  # takes long to import, and most nodes have a server of their own

    return serve()

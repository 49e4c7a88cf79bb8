"""A session of the user's ssh client: a shell, a command or a subsystem, on a terminal or on pipes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import asyncssh

from medusa.client.aio.channel_io import NO_ERROR
from medusa.client.aio.driver import Driver
from medusa.client.aio.errors import ChannelError
from medusa.client.ssh.refusals import exit_status
from medusa.client.ssh.relay import Relay
from medusa.client.ssh.scp import server as scp
from medusa.client.ssh.transport.data_packets import DataPackets
from medusa.protocol.channels.kinds import STDERR, STDOUT
from medusa.protocol.terminal import environment, modes

SFTP = "sftp"

WINDOW = 512 * 1024
"""Bytes that the client may send in a session before they are taken."""

_STANDARD = ["ABRT", "ALRM", "FPE", "HUP", "ILL", "INT", "KILL", "PIPE", "QUIT", "SEGV", "TERM", "USR1", "USR2"]
"""The signals that RFC 4254 names. The name of another one has to say whose it is."""


class Session(Relay, asyncssh.SSHServerSession[bytes]):
    """One session. It is opened at the agent as soon as the client has said what is to run.

    Args:
        cwd: the directory of the job in which it starts.
    """

    def __init__(self, driver: Driver, packets: DataPackets, cwd: str) -> None:
        super().__init__(packets, {STDOUT: None, STDERR: asyncssh.EXTENDED_DATA_STDERR})
        self._driver, self._cwd = driver, cwd
        self._pty: dict[str, object] | None = None
        self._kind = "session"
        self._command: str | None = None
        self._result: Mapping[str, Any] | None = None
        self._error: ChannelError | None = None
        self._waiter: asyncio.Task[None] | None = None
        self._all_passed = False
        self._copying: asyncssh.SSHServerSession[bytes] | None = None  # takes what the client's scp sends

    # ------------------------------------------------------------------ what the client asks for

    def pty_requested(
        self, term_type: str, term_size: tuple[int, int, int, int], term_modes: Mapping[int, int]
    ) -> bool:
        columns, lines = term_size[:2]
        known = {opcode: value for opcode, value in term_modes.items() if opcode < modes.FIRST_WITHOUT_VALUE}
        self._pty = {"columns": columns, "lines": lines, "term": term_type, "modes": modes.encode(known)}
        return True

    def shell_requested(self) -> bool:
        return True

    def exec_requested(self, command: str) -> bool:
        self._command = command
        return True

    def subsystem_requested(self, subsystem: str) -> bool:
        self._kind = subsystem
        return subsystem == SFTP

    def session_started(self) -> None:
        if self._pty is None and self._command is not None and scp.is_scp(self._command):
            self._waiter = asyncio.ensure_future(self._copy(self._command))
        else:
            self._start()

    def _start(self) -> None:
        try:
            if self._kind == SFTP:
                self._outputs = {0: None}
                io = self._driver.open_nowait(SFTP, cwd=self._cwd)
            else:
                if self._pty is not None:
                    del self._outputs[STDERR]
                io = self._driver.open_nowait("session", **self._wish())
        except ChannelError as error:
            self.failed(error)
            return
        self.attach(io)
        self._waiter = asyncio.ensure_future(self._wait_for_server() if self._kind == SFTP else self._wait())

    async def _copy(self, command: str) -> None:
        """Runs the job's scp, if it has one. Serves the client's scp here otherwise."""
        try:
            if await scp.job_has_scp(self._driver):
                self._start()
            else:
                await scp.serve(self._driver, self._chan, command, self._cwd, self._use)
        except ChannelError as error:
            self.failed(error)

    def _use(self, session: asyncssh.SSHServerSession[bytes]) -> None:
        self._copying = session
        self.hand_over(session)

    def _wish(self) -> dict[str, object]:
        given = {
            name.decode("utf-8", "surrogateescape"): value.decode("utf-8", "surrogateescape")
            for name, value in self._chan.get_environment_bytes().items()
        }
        env = environment.checked(given, given)
        named = [name for name in env if not environment.checked({name: env[name]})]
        wish = {"command": self._command, "pty": self._pty, "env": env, "named": named, "cwd": self._cwd}
        return {**wish, "background": True}

    def terminal_size_changed(self, width: int, height: int, pixwidth: int, pixheight: int) -> None:
        if self._io is not None:
            self._io.request("resize", columns=width, lines=height)
        elif self._pty is not None:
            self._pty.update(columns=width, lines=height)

    def signal_received(self, signal: str) -> None:
        if self._io is not None and self._kind != SFTP:
            self._io.request("signal", name=signal)

    def unread(self, packet: Any) -> bool:
        """Nobody reads the output of the client any more. The command is to find that out when it writes again."""
        packet.check_end()
        if self._io is not None:
            for sub in (sub for sub, datatype in self._outputs.items() if datatype is None):
                self._io.stop(sub)
                self._pump(sub)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._gone = True
        self._pending.clear()
        if self._copying is not None:
            self._copying.connection_lost(exc)
        if self._waiter is not None:
            self._waiter.cancel()
        if self._io is not None:
            self._io.close(at_once=True)  # a command that does not read must end too

    # ------------------------------------------------------------------ how it ends

    async def _wait(self) -> None:
        """Waits for the end of the command. If there is no such end, reading its output says why."""
        assert self._io is not None
        try:
            self._result = await self._io.result()
        except ChannelError:
            return
        self._exit()

    async def _wait_for_server(self) -> None:
        """Waits for the end of the SFTP server. The agent gives a reason if it has failed."""
        assert self._io is not None
        error = await self._io.closed()
        if error.code == NO_ERROR:
            self._result = {"status": 0, "signal": None}
        else:
            self._error = error
        self._exit()

    def output_ended(self) -> None:
        self._all_passed = True
        self._exit()

    def _exit(self) -> None:
        """Tells the client how the command ended, after all of its output."""
        if not self._all_passed or self._gone:
            return
        if self._error is not None:
            self.failed(self._error)
            return
        if self._result is None:
            return
        self._chan.write_eof()
        signal = self._result["signal"]
        if signal is None:
            self._chan.exit(self._result["status"])
        else:
            name = signal.removeprefix("SIG")
            self._chan.exit_with_signal(name if name in _STANDARD else f"{name}@openssh.com")

    def failed(self, error: ChannelError) -> None:
        if self._gone:
            return
        try:
            self._chan.write_stderr(f"medusa: {error}\r\n".encode())
        except OSError:  # the channel is closing
            return
        self.told = self._driver.over.done()
        self._chan.exit(exit_status(error))

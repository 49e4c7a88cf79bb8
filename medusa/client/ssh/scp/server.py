"""What scp runs on the other side: `scp -t PATH`, which takes files, and `scp -f PATH`, which sends them."""

from __future__ import annotations

import contextlib
import inspect
import re
from collections.abc import Callable
from typing import Any

import asyncssh
from asyncssh.scp import run_scp_server
from asyncssh.stream import SSHReader, SSHServerStreamSession, SSHWriter

from medusa.client.aio.driver import Driver
from medusa.client.aio.errors import ChannelError
from medusa.client.ssh.scp.job_files import JobFiles
from medusa.client.ssh.scp.requests import Requests
from medusa.protocol.channels.frames import Reason

_COMMAND = re.compile(r"scp(?: -[dprv])* -([ft])(?: -[dprv])* .+", re.DOTALL)


def is_scp(command: str) -> bool:
    """True if a client's scp has sent this command, and waits for the old protocol."""
    return _COMMAND.fullmatch(command) is not None


async def job_has_scp(driver: Driver) -> bool:
    """True if the job has a program scp, or if that cannot be found out. Raises ChannelError."""
    line = "command -v scp >/dev/null 2>&1 || exit 127"
    io = await driver.open("session", command=line, pty=None, env={}, named=[], cwd="", background=False)
    try:
        result = await io.result()
        return bool(result["status"] != 127)
    finally:
        io.close(at_once=True)


async def serve(
    driver: Driver, chan: Any, command: str, cwd: str, use: Callable[[SSHServerStreamSession[bytes]], None]
) -> None:
    """Serves the command of a client's scp, to its end, and tells the client a status.

    Raises ChannelError, and tells the client nothing, if the job gives no files.

    Args:
        chan: the client's channel.
        cwd: the directory of the job in which relative paths begin.
        use: is called with the session to which everything goes that the client sends, also what it has sent.
    """
    io = await driver.open("sftp", cwd=cwd, own=True)  # it says why something fails
    try:
        requests = Requests(io)
        try:
            await requests.run(requests.sftp.begin())
        except asyncssh.SFTPError as error:
            raise ChannelError(Reason("failed", f"the server for the job's files has failed: {error.reason}")) from None
        session: SSHServerStreamSession[bytes] = SSHServerStreamSession(None, None)
        session.connection_made(chan)
        use(session)
        asked = _COMMAND.fullmatch(command)
        sends = asked is not None and asked[1] == "f"
        stdin, stdout = SSHReader(session, chan), SSHWriter(session, chan)
        stderr = SSHWriter(session, chan, asyncssh.EXTENDED_DATA_STDERR)
        try:
            with contextlib.suppress(asyncssh.Error, OSError):
                work = run_scp_server(JobFiles(chan, requests, sends=sends), command, stdin, stdout, stderr)
                if inspect.isawaitable(work):
                    await work
        finally:
            if not chan.is_closing():  # asyncssh has told no status
                chan.exit(1)
    finally:
        io.close()

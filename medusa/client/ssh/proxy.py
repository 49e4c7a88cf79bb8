"""Runs one SSH connection on two descriptors, from its first to its last byte."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import Any

import asyncssh
from asyncssh.constants import MSG_IGNORE

from medusa import __version__
from medusa.client.aio.driver import Driver
from medusa.client.outcome import OUTCOME_UNKNOWN, OWN_ERROR
from medusa.client.ssh.server import Server
from medusa.client.ssh.transport.data_packets import DataPackets
from medusa.client.ssh.transport.pipes import PipeTransport
from medusa.client.terminal.messages import Messages
from medusa.protocol.printable import printable

LOGIN_TIMEOUT = 120.0
"""Seconds until the client must have agreed on keys. Nobody types anything meanwhile."""

SERVER_VERSION = f"OpenSSH_9.2 Medusa_{__version__}"
"""The name of this server. If it begins with OpenSSH, the client tells the server that nobody reads its output any
more. Otherwise `ssh host yes | head` would never end. asyncssh's client looks for OpenSSH to learn the order of
SYMLINK's paths, which is that of OpenSSH's sftp-server."""

FLUSH_TIMEOUT = 2.0
"""Seconds in which the client has to take the last words, and may end by itself after its sessions have ended."""

CIPHERS = [
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "aes128-ctr",
    "aes256-ctr",
    "chacha20-poly1305@openssh.com",
]
"""The first one costs least, and the connection never leaves this machine. Which one is used is the client's choice."""


class Tunnel:
    """Gives asyncssh the transport of a connection, in the place of another SSH connection that would carry it."""

    def __init__(self, packets: DataPackets) -> None:
        self._packets = packets
        self.logger = logging.getLogger("asyncssh")

    async def create_connection(self, factory: Callable[[], Any], host: str, port: int) -> tuple[None, Any]:
        protocol = factory()
        self._packets.start(protocol)
        return None, protocol

    def close(self) -> None:
        self._packets.transport.close()

    async def wait_closed(self) -> None:
        await self._packets.transport.over()


async def serve(
    driver: Driver,
    messages: Messages,
    key: bytes,
    cwd: str = "",
    stdin: int = 0,
    stdout: int = 1,
    login_timeout: float = LOGIN_TIMEOUT,
) -> int:
    """Serves one ssh client. Returns the exit status after the client has gone.

    If it is cancelled, it ends the connection. It returns if the client's sessions have said why, or if a signal has
    come; otherwise it raises CancelledError, and the caller says why.

    Args:
        driver: the conversation with the agent.
        messages: shows the user lines, beside what ssh shows.
        key: the host key, a private key in OpenSSH's format.
        cwd: the directory of the job in which sessions start; `~` is the user's home directory.
        login_timeout: seconds until the client must have agreed on keys.
    """
    logging.getLogger("asyncssh").setLevel(logging.CRITICAL)
    transport = PipeTransport(stdin, stdout)
    packets = DataPackets(transport)
    server = Server(driver, packets, messages.error, cwd)
    conn: asyncssh.SSHServerConnection | None = None
    late = time.monotonic() + login_timeout
    try:
        conn = await _connect(packets, server, key, login_timeout)
        _send_without_padding(conn)
        error = await asyncio.shield(server.over)
    except (asyncssh.Error, OSError, ValueError) as lost:  # ValueError: a packet without the fields that it must have
        error = lost
    except asyncio.CancelledError:
        if conn is not None and await _is_told(driver, conn, server):
            return OUTCOME_UNKNOWN
        raise
    finally:
        transport.close()
        with contextlib.suppress(TimeoutError, asyncio.TimeoutError):
            await asyncio.wait_for(transport.over(), FLUSH_TIMEOUT)
        transport.abort()
    if conn is None and time.monotonic() >= late:
        messages.error(f"the ssh client has not agreed on keys within {login_timeout:.0f} s")
        return OWN_ERROR
    if error is None or isinstance(error, (asyncssh.ConnectionLost, BrokenPipeError)) or _is_goodbye(error):
        return 0
    messages.error(f"the ssh client breaks the rules of SSH, or has failed: {printable(str(error), 300)}")
    return OWN_ERROR


async def _is_told(driver: Driver, conn: asyncssh.SSHServerConnection, server: Server) -> bool:
    """Ends the connection, because the conversation is over or a signal has come.

    Returns True if the user need not be told: a session of the client has said why, or the user has sent the signal.
    """
    if driver.over.done() and server.told:
        await asyncio.wait([server.over], timeout=FLUSH_TIMEOUT)
        if server.over.done():
            return True
    why = "the session has ended" if driver.over.done() else "medusa ssh-proxy was ended"
    conn.disconnect(asyncssh.DISC_CONNECTION_LOST, why)
    return not driver.over.done()


def _is_goodbye(error: Exception) -> bool:
    return isinstance(error, asyncssh.DisconnectError) and error.code == asyncssh.DISC_BY_APPLICATION


def _send_without_padding(conn: asyncssh.SSHServerConnection) -> None:
    """Makes a connection send no MSG_IGNORE.

    asyncssh sends one before each packet, for ciphers in CBC mode, which CIPHERS does not have. Each costs as much as
    the packet itself.
    """
    send = conn.send_packet

    def send_packet(kind: int, *fields: bytes, **named: Any) -> None:
        if kind != MSG_IGNORE:
            send(kind, *fields, **named)

    conn.send_packet = send_packet  # type: ignore[assignment, method-assign]


async def _connect(
    packets: DataPackets, server: Server, key: bytes, login_timeout: float
) -> asyncssh.SSHServerConnection:
    return await asyncssh.connect_reverse(
        "",
        tunnel=Tunnel(packets),
        config=None,
        server_factory=lambda: server,
        server_host_keys=[asyncssh.import_private_key(key)],
        server_version=SERVER_VERSION,
        encryption_algs=CIPHERS,
        encoding=None,
        line_editor=False,
        agent_forwarding=False,
        x11_forwarding=False,
        allow_scp=False,
        gss_host=None,
        login_timeout=login_timeout,
        keepalive_interval=0,
    )

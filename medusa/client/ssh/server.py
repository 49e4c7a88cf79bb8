"""What the user's ssh client asks of the connection: sessions, connections to the job, listeners in the job."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

import asyncssh

from medusa.client.aio.driver import Driver
from medusa.client.ssh import forwards, session
from medusa.client.ssh.forwards import LOOPBACK, Connection, Forwards, Listener, Listeners
from medusa.client.ssh.relay import Relay
from medusa.client.ssh.session import Session
from medusa.client.ssh.transport.data_packets import DataPackets

MAX_PACKET = 32 * 1024
"""The most bytes of data in one packet, as OpenSSH has it."""


class Server(asyncssh.SSHServer):
    """One connection of the user's ssh client. Nobody has to authenticate: it comes from a process of the user.

    Args:
        tell: shows the user a line.
        cwd: the directory of the job in which sessions start.

    Attributes:
        over: is done after the connection has ended, with the error; None if it ended as it should.
    """

    def __init__(self, driver: Driver, packets: DataPackets, tell: Callable[[str], None], cwd: str = "") -> None:
        self._driver, self._packets, self._cwd = driver, packets, cwd
        self._forwards = Forwards(driver, packets, tell)
        self._tell = tell
        self._relays: weakref.WeakSet[Relay] = weakref.WeakSet()
        self.over: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        packets.transport.drained = self._pump

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._conn = conn
        conn._local_listeners = Listeners()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.over.done():
            self.over.set_result(exc)

    def begin_auth(self, username: str) -> bool:
        return False

    @property
    def told(self) -> bool:
        """True if a session of the client has told the user why the conversation with the agent is over."""
        return any(relay.told for relay in self._relays)

    # ------------------------------------------------------------------ sessions

    def session_requested(self) -> Any:
        chan: Any = self._conn.create_server_channel(None, "strict", session.WINDOW, MAX_PACKET)
        opened = Session(self._driver, self._packets, self._cwd)
        chan._process_eow_at_openssh_dot_com_request = opened.unread  # asyncssh finds it by this name
        return chan, self._known(opened)

    # ------------------------------------------------------------------ to the job

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> Any:
        return self._to_job(self._conn.create_tcp_channel, "tcp", host=dest_host, port=dest_port)

    def unix_connection_requested(self, dest_path: str) -> Any:
        return self._to_job(self._conn.create_unix_channel, "unix", path=dest_path)

    def _to_job(self, make: Callable[..., Any], kind: str, **target: object) -> tuple[Any, Awaitable[Connection]]:
        async def connect() -> Connection:
            connection = await self._forwards.connect(kind, **target)
            self._known(connection)
            return connection

        return make(None, "strict", forwards.WINDOW, MAX_PACKET), connect()

    # ------------------------------------------------------------------ from the job

    async def server_requested(self, listen_host: str, listen_port: int) -> Listener | bool:
        loopback = listen_host in LOOPBACK
        name = f"{'localhost' if loopback else listen_host}:{listen_port}"
        if loopback and listen_host != "localhost":
            self._tell(
                f"port {listen_port} in the job listens on loopback only; name an address, such as 0.0.0.0, for more"
            )
        host = "" if loopback else listen_host
        listener: Listener | bool = False

        async def back(connection: Connection, peer: str) -> None:
            port = listen_port or (listener.get_port() if isinstance(listener, Listener) else 0)
            address, _, number = peer.rpartition(":")
            source = (address.strip("[]") or "127.0.0.1", int(number) if number.isdecimal() else 0)
            await self._conn.create_connection(
                lambda: self._known(connection),
                listen_host,
                port,
                *source,
                encoding=None,
                window=forwards.WINDOW,
                max_pktsize=MAX_PACKET,
            )

        listener = await self._forwards.listen(name, back, host=host, port=listen_port)
        return listener

    async def unix_server_requested(self, listen_path: str) -> Listener | bool:
        async def back(connection: Connection, peer: str) -> None:
            await self._conn.create_unix_connection(
                lambda: self._known(connection),
                listen_path,
                encoding=None,
                window=forwards.WINDOW,
                max_pktsize=MAX_PACKET,
            )

        return await self._forwards.listen(listen_path, back, path=listen_path)

    # ------------------------------------------------------------------ all of them

    def _known(self, relay: Any) -> Any:
        self._relays.add(relay)
        return relay

    def _pump(self) -> None:
        """The transport takes more. Goes on with what had to wait."""
        for relay in list(self._relays):
            relay.pump()

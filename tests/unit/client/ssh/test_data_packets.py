"""Data of channels pass asyncssh by if the cipher allows it; all else, and each exchange of keys, is asyncssh's."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import socket
from collections.abc import AsyncIterator
from typing import Any

import asyncssh
import pytest

from medusa.client.ssh.proxy import CIPHERS, Tunnel
from medusa.client.ssh.transport import data_packets
from medusa.client.ssh.transport.data_packets import DataPackets
from medusa.client.ssh.transport.pipes import PipeTransport
from tests.waiting import PATIENCE

SIZE = 2_000_000
REKEY_BYTES = 300_000


class Echo(asyncssh.SSHServerSession[bytes]):
    """Sends back what comes, and ends with the input."""

    def __init__(self, packets: DataPackets) -> None:
        self._packets = packets

    def connection_made(self, chan: Any) -> None:
        self._chan = chan

    def shell_requested(self) -> bool:
        return True

    def data_received(self, data: bytes, datatype: int | None) -> None:
        self._packets.write(self._chan, data, None)

    def eof_received(self) -> bool:
        self._chan.exit(0)
        return True


class Server(asyncssh.SSHServer):
    """Takes one session, and notes how the connection ends."""

    def __init__(self, packets: DataPackets) -> None:
        self._packets = packets
        self.over: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

    def begin_auth(self, username: str) -> bool:
        return False

    def session_requested(self) -> Echo:
        return Echo(self._packets)

    def connection_lost(self, exc: Exception | None) -> None:
        self.over.set_result(exc)


@contextlib.asynccontextmanager
async def connected(cipher: str) -> AsyncIterator[tuple[DataPackets, asyncssh.SSHClientConnection, Server]]:
    """Context manager: an ssh client of asyncssh, which is connected to a server that uses DataPackets."""
    here, there = socket.socketpair()
    with here, there:
        packets = DataPackets(PipeTransport(here.fileno(), here.fileno()))
        server = Server(packets)
        key = asyncssh.generate_private_key("ssh-ed25519")
        common: dict[str, Any] = {"config": None, "encryption_algs": [cipher], "rekey_bytes": REKEY_BYTES}
        serving = asyncssh.connect_reverse(
            "",
            tunnel=Tunnel(packets),
            server_factory=lambda: server,
            server_host_keys=[key],
            encoding=None,
            line_editor=False,
            **common,
        )
        client = asyncssh.connect("host", sock=there, known_hosts=None, username="x", client_keys=None, **common)
        _, conn = await asyncio.gather(serving, client)
        yield packets, conn, server
        conn.abort()
        packets.transport.abort()


@pytest.mark.parametrize("cipher", CIPHERS)
def test_echo_with_new_keys_in_between(cipher: str) -> None:
    async def main() -> None:
        async with connected(cipher) as (packets, conn, _):
            process = await conn.create_process(encoding=None)
            data = os.urandom(SIZE)
            echoed, errors = await asyncio.wait_for(process.communicate(data), PATIENCE)
            assert (len(echoed or b""), errors) == (SIZE, b"")
            assert hashlib.sha256(echoed or b"").digest() == hashlib.sha256(data).digest()
            own = packets._sending is not None and packets._receiving is not None
            assert own == ("gcm" in cipher)

    asyncio.run(main())


@pytest.mark.parametrize("names", ["_USED", "_USED_OF_CIPHER", "_USED_OF_CHANNEL"])
def test_a_version_of_asyncssh_that_lacks_what_is_used(monkeypatch: pytest.MonkeyPatch, names: str) -> None:
    monkeypatch.setattr(data_packets, names, ["_not_there"])

    async def main() -> None:
        async with connected(CIPHERS[0]) as (_, conn, _):
            process = await conn.create_process(encoding=None)
            echoed, errors = await asyncio.wait_for(process.communicate(b"key"), PATIENCE)
            assert (echoed, errors) == (b"key", b"")

    asyncio.run(main())


@pytest.mark.parametrize("garbage", [bytes(100), b"\0\0\0\x20" + bytes(48), b"\xff" * 40])
def test_garbage_in_the_place_of_a_packet(garbage: bytes) -> None:
    async def main() -> Exception | None:
        async with connected(CIPHERS[0]) as (packets, _, server):
            packets.data_received(garbage)
            return await asyncio.wait_for(server.over, PATIENCE)

    assert isinstance(asyncio.run(main()), (asyncssh.MACError, asyncssh.ProtocolError))


def test_a_session_that_fails_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("cannot take this")

    monkeypatch.setattr(Echo, "data_received", fail)

    async def main() -> None:
        async with connected(CIPHERS[0]) as (packets, conn, server):
            process = await conn.create_process(encoding=None)
            process.stdin.write(b"key")
            error = await asyncio.wait_for(server.over, PATIENCE)
            assert (type(error), str(error)) == (RuntimeError, "cannot take this")
            packets.data_received(bytes(100))  # what the client has sent after that
            assert packets._rest == b""

    asyncio.run(main())

"""Manta's front door for interactive sessions: forwards upgraded connections to the reflector, byte for byte.

What is special about it: it writes its own request head to the reflector; it accepts only a 101 whose Connection is
exactly `Upgrade`; it destroys a socket on which nothing was read or written for a while; it forwards the end of a
connection, but not a reset by the reflector.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from tests.manta.http import Gone, Refusal, Request, read_head
from tests.manta.settings import Settings

CHUNK = 65536
CONNECT_LIMIT = 10.0


class Socket:
    """One of the two connections, which notes when it was last read or written."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self._loop = asyncio.get_running_loop()
        self._alive_at = self._loop.time()

    async def read(self) -> bytes:
        data = await self.reader.read(CHUNK)
        self._alive_at = self._loop.time()
        return data

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        self._alive_at = self._loop.time()
        await self.writer.drain()
        self._alive_at = self._loop.time()

    def end(self) -> None:
        """Sends FIN. A TLS connection is closed, because it cannot be half closed."""
        if self.writer.can_write_eof():
            self.writer.write_eof()
        else:
            self.writer.close()

    async def watch(self, limit: float) -> None:
        """Destroys the socket after `limit` seconds without a byte."""
        while (left := self._alive_at + limit - self._loop.time()) > 0:
            await asyncio.sleep(left)
        self.writer.transport.abort()


Carry = Callable[[], Awaitable[None]]
"""Copies the bytes of a connection in both directions until its end."""


async def attach(request: Request, job: str, role: str, settings: Settings) -> Carry:
    """Upgrades the connection of a request whose sender may attach."""
    if request.header("upgrade").lower() != "websocket" or "upgrade" not in request.header("connection").lower():
        raise Refusal(400, "BadRequest", "Connection must be upgradable")
    url = urlsplit(settings.reflector_url)
    lines = [f"GET /attach/{job}/{role} HTTP/1.1", "connection: upgrade", "upgrade: websocket"]
    lines += [f"sec-websocket-key: {request.header('sec-websocket-key')}", f"Host: {url.netloc}", "", ""]
    reflector = await _connect(settings.reflector_url)
    client = Socket(request.reader, request.writer)
    await reflector.write("\r\n".join(lines).encode("latin-1"))
    # The client may send frames before the 101.
    outwards = asyncio.create_task(_outwards(client, reflector))
    try:
        await client.write(await _switched(reflector))
    except BaseException:
        outwards.cancel()
        reflector.writer.close()
        raise
    return lambda: _carry(client, reflector, outwards, settings.idle_limit)


async def pass_through(request: Request, settings: Settings) -> Carry:
    """Forwards the connection, with the head that came on it, to the other front door."""
    door = await _connect(settings.front_door)
    client = Socket(request.reader, request.writer)
    await door.write(request.head)
    outwards = asyncio.create_task(_outwards(client, door))
    return lambda: _carry(client, door, outwards, settings.idle_limit)


async def _connect(url: str) -> Socket:
    parts = urlsplit(url)
    context = None
    if parts.scheme == "https":
        context = ssl._create_unverified_context()
    try:
        opening = asyncio.open_connection(parts.hostname, parts.port, ssl=context)
        return Socket(*await asyncio.wait_for(opening, CONNECT_LIMIT))
    except (OSError, asyncio.TimeoutError):
        raise Refusal(503, "ServiceUnavailable", "medusa is not available") from None


async def _switched(reflector: Socket) -> bytes:
    """The 101 for the client. Raises Refusal if the reflector sent none, or one that muskie does not accept."""
    try:
        first, *lines = (await read_head(reflector.reader)).decode("latin-1").split("\r\n")[:-2]
    except Gone:
        raise Refusal(500, "InternalError", "medusa hung up") from None
    headers = dict(line.split(": ", 1) for line in lines)
    if first.split(" ")[1] != "101" or headers.get("Connection") != "Upgrade":
        raise Refusal(500, "InternalError", "medusa did not upgrade the connection")
    return "\r\n".join([first, *lines, "", ""]).encode("latin-1")


async def _carry(client: Socket, other: Socket, outwards: asyncio.Task[None], idle_limit: float) -> None:
    """Copies until both directions have ended. `outwards` copies from the client."""
    watchers = [asyncio.create_task(leg.watch(idle_limit)) for leg in (client, other)]
    try:
        await asyncio.gather(outwards, _inwards(other, client))
    finally:
        for task in (outwards, *watchers):
            task.cancel()
        other.writer.close()


async def _outwards(client: Socket, other: Socket) -> None:
    with contextlib.suppress(OSError):
        while data := await client.read():
            await other.write(data)
    with contextlib.suppress(OSError):
        other.end()


async def _inwards(other: Socket, client: Socket) -> None:
    try:
        while data := await other.read():
            await client.write(data)
    except OSError:
        # A reset is not forwarded: the client's connection ends only by the idle limit.
        with contextlib.suppress(OSError):
            await client.writer.wait_closed()
    with contextlib.suppress(OSError):
        client.end()

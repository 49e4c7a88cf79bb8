"""Autobahn's websocket cases through a pair: the fuzzer on the client's side, an echo on the agent's side.

A shim stands between the fuzzer and the reflector. It gives every connection a session of its own, attaches an echo
agent to it, and swallows the reflector's texts up to linkup; only then does the fuzzer get its 101, so it sends
nothing before. From there on the shim copies bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import sys
import uuid
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

import kosoku
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

if TYPE_CHECKING:
    from kosoku._kosoku import CaseResult

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]

LARGE_MESSAGES = ("9.1.*", "9.2.*", "9.3.9", "9.4.9", "9.5.6", "9.6.6", "9.7.1", "9.8.1")
QUICK = (*(f"{group}.*" for group in (1, 2, 3, 4, 5, 6, 7, 10)), *LARGE_MESSAGES)
"""All but most of group 9, whose messages are large or come in thousands of pieces."""

NOT_OFFERED = ("12.*", "13.*")
"""permessage-deflate."""

BLOCK = 1 << 18
_REQUEST_LINE = re.compile(rb"^GET \S+ ")


class Shim:
    """A websocket server to the fuzzer, which copies bytes from and to a reflector."""

    def __init__(self, reflector_port: int) -> None:
        self._port = reflector_port
        self._connections: set[asyncio.Task[None]] = set()

    def accept(self, fuzzer: asyncio.StreamReader, to_fuzzer: asyncio.StreamWriter) -> None:
        """Serve one connection of the fuzzer in a task of its own."""
        connection = asyncio.create_task(self._serve(fuzzer, to_fuzzer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def close(self) -> None:
        """Give up the connections that are left."""
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(self, fuzzer: asyncio.StreamReader, to_fuzzer: asyncio.StreamWriter) -> None:
        try:
            head = await fuzzer.readuntil(b"\r\n\r\n")
            reflector, to_reflector = await asyncio.open_connection("127.0.0.1", self._port, limit=BLOCK)
            try:
                await self._pass_through(head, (fuzzer, to_fuzzer), (reflector, to_reflector))
            finally:
                to_reflector.close()
        except (OSError, asyncio.IncompleteReadError, WebSocketException) as error:
            print(f"shim: {error!r}", file=sys.stderr)
        finally:
            to_fuzzer.close()

    async def _pass_through(self, head: bytes, fuzzer: Stream, reflector: Stream) -> None:
        session = str(uuid.uuid4())
        reflector[1].write(_REQUEST_LINE.sub(b"GET /attach/%s/master " % session.encode(), head))
        answer = await reflector[0].readuntil(b"\r\n\r\n")
        if answer.split(b" ")[1] != b"101":
            fuzzer[1].write(answer)
            return
        url = f"ws://127.0.0.1:{self._port}/attach/{session}/slave"
        async with connect(url, compression=None, max_size=None, ping_interval=None, proxy=None) as agent:
            echo = asyncio.create_task(_echo(agent))
            await _linkup(reflector[0])
            fuzzer[1].write(answer)
            await asyncio.gather(_copy(fuzzer[0], reflector[1]), _copy(reflector[0], fuzzer[1]))
        await echo


async def _linkup(reflector: asyncio.StreamReader) -> None:
    """Reads the short unmasked texts before linkup, and that itself; not a byte more."""
    text = b""
    while b'"linkup"' not in text:
        first, length = await reflector.readexactly(2)
        if first != 0x81 or length > 125:
            raise ConnectionError("not a short text before linkup")
        text = await reflector.readexactly(length)


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while block := await source.read(BLOCK):
            sink.write(block)
            await sink.drain()
        sink.write_eof()
    except OSError:
        sink.close()


async def _echo(agent: ClientConnection) -> None:
    """The agent: sends every message back as it came, the linkup excepted."""
    with contextlib.suppress(ConnectionClosed):
        await agent.recv()
        async for message in agent:
            await agent.send(message)


@contextlib.asynccontextmanager
async def _serving(reflector_port: int) -> AsyncIterator[int]:
    """A shim in front of the reflector at `reflector_port`; yields its own port."""
    shim = Shim(reflector_port)
    server = await asyncio.start_server(shim.accept, "127.0.0.1", 0, limit=BLOCK)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await shim.close()


async def run_cases(reflector_port: int, cases: Sequence[str] | None = None) -> list[CaseResult]:
    """The results of `cases` (ids or globs; all where None) through the reflector at `reflector_port`."""
    async with _serving(reflector_port) as port:
        try:
            return await kosoku.run_fuzzingclient(f"ws://127.0.0.1:{port}", cases, NOT_OFFERED)
        except kosoku.FailureError as failure:
            return failure.results


def describe(result: CaseResult) -> str:
    """A failed case: verdicts, reasons, what came and what was asked for."""
    return (
        f"{result.case_id}: {result.behavior.value}, close {result.behavior_close.value}\n"
        f"    {result.result}\n    {result.result_close}\n"
        f"    received {str(result.received)[:300]}\n    expected {str(result.expected)[:300]}\n"
        f"    closed with {result.remote_close_code} {result.remote_close_reason!r}: {result.was_not_clean_reason}"
    )

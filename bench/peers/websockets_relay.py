"""A pairing relay on PyPI `websockets` under uvloop, on the same wire as the reflector (docs/protocol.md, part 1).

Its settings are fair: no compression, the library's C routines, and back-pressure by its public functions: a message
is sent before the next one is received. Usage: python -m bench.peers.websockets_relay [PORT]
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import sys
from http import HTTPStatus

import uvloop
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

MAX_MESSAGE = 16 << 20
WAIT_PULSE = 2.0
LINKUP = 'medusa:{"type":"linkup"}'
WAIT = 'medusa:{"type":"wait"}'
ROUTE = re.compile(r"/attach/([^/]+)/(master|slave)")


class Session:
    """A client after its upgrade, and later its agent."""

    def __init__(self) -> None:
        self.agent: asyncio.Future[ServerConnection] = asyncio.get_running_loop().create_future()
        self.over = asyncio.Event()
        self.claimed = False


sessions: dict[str, Session] = {}


def judge(connection: ServerConnection, request: Request) -> Response | None:
    """Refuses the requests that the reflector would refuse. For the others it reserves the place in the session."""
    request.headers.setdefault("Sec-WebSocket-Version", "13")  # the original's clients leave it out
    route = ROUTE.fullmatch(request.path)
    if route is None:
        return connection.respond(HTTPStatus.BAD_REQUEST, "")
    session = sessions.get(route[1])
    if route[2] == "master":
        if session is not None:
            return connection.respond(HTTPStatus.CONFLICT, "")
        sessions[route[1]] = Session()
        return None
    if session is None or session.claimed:
        return connection.respond(HTTPStatus.CONFLICT if session else HTTPStatus.NOT_FOUND, "")
    session.claimed = True
    return None


async def attach(connection: ServerConnection) -> None:
    """Serves one connection until its session is over."""
    assert connection.request is not None
    _, _, session_id, side = connection.request.path.split("/")
    session = sessions[session_id]
    if side == "slave":
        session.agent.set_result(connection)
        await session.over.wait()
        return
    try:
        agent = await agent_of(session, connection)
        await asyncio.gather(connection.send(LINKUP), agent.send(LINKUP))
        await asyncio.gather(forward(connection, agent), forward(agent, connection))
    except ConnectionClosed:
        pass
    finally:
        del sessions[session_id]
        session.over.set()


async def agent_of(session: Session, client: ServerConnection) -> ServerConnection:
    """Waits for the agent, and sends the client a pulse meanwhile."""
    while True:
        with contextlib.suppress(asyncio.TimeoutError):
            return await asyncio.wait_for(asyncio.shield(session.agent), WAIT_PULSE)
        await client.send(WAIT)


async def forward(source: ServerConnection, destination: ServerConnection) -> None:
    """Copies messages until one side is closed, then closes both."""
    with contextlib.suppress(ConnectionClosed):
        async for message in source:
            await destination.send(message)
    await destination.close(1000, source.close_reason or "")
    await source.close()


async def main(port: int) -> None:
    """Serves until it is killed."""
    serving = serve(
        attach,
        "127.0.0.1",
        port,
        process_request=judge,
        compression=None,
        max_size=MAX_MESSAGE,
        ping_interval=None,
    )
    async with serving as server:
        print(f"listening http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]) if sys.argv[1:] else 0))

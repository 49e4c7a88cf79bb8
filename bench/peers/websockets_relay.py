"""A relay like the reflector, with PyPI's `websockets` and uvloop. It speaks the protocol of docs/protocol.md, part 1.

Its settings are fair: no compression, and the library's C routines. Back-pressure is by the library's public
functions: a message is sent before the next one is received. Usage: python -m bench.peers.websockets_relay [PORT]
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
    """A session, which begins with the client's request.

    Attributes:
        agent: the agent's connection, when it is there.
        over: is set when the session is over.
        claimed: True if an agent has asked to join.
    """

    def __init__(self) -> None:
        self.agent: asyncio.Future[ServerConnection] = asyncio.get_running_loop().create_future()
        self.over = asyncio.Event()
        self.claimed = False


sessions: dict[str, Session] = {}


def judge(connection: ServerConnection, request: Request) -> Response | None:
    """Returns a refusal if the reflector would refuse the request. Else reserves the place, and returns None."""
    request.headers.setdefault("Sec-WebSocket-Version", "13")  # the clients of the original program leave it out
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
    """Waits for the agent. Returns its connection. Meanwhile, sends the client a `wait` message at intervals."""
    while True:
        with contextlib.suppress(asyncio.TimeoutError):
            return await asyncio.wait_for(asyncio.shield(session.agent), WAIT_PULSE)
        await client.send(WAIT)


async def forward(source: ServerConnection, destination: ServerConnection) -> None:
    """Copies messages from `source` to `destination` until one of them is closed, then closes both."""
    with contextlib.suppress(ConnectionClosed):
        async for message in source:
            await destination.send(message)
    await destination.close(1000, source.close_reason or "")
    await source.close()


async def main(port: int) -> None:
    """Serves on loopback until the process is killed. `port`: 0 for any free port."""
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

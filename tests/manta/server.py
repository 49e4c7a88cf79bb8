"""The stand-in's server: authorization, and routing to the part that answers."""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from collections.abc import AsyncIterator

from tests.manta import muskie
from tests.manta.http import MAX_HEAD, Gone, Refusal, Request, read_head
from tests.manta.jobs import Jobs
from tests.manta.objects import Objects
from tests.manta.runner import CERTIFICATE, Runner
from tests.manta.settings import Settings
from tests.manta.signatures import Keys, identify

ATTACH = re.compile(r"/([^/]+)/medusa/attach/([^/]+)/(master|slave)")
JOB = re.compile(r"/([^/]+)/jobs(?:/([0-9a-f-]{36})/(live/.+))?/?")


class Server:
    """Attributes:
    log: one entry for each request: method, path, who, outcome (`ok` or a code) and the message of a refusal.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.log: list[dict[str, str]] = []
        self._objects = Objects(settings.objects)
        self._keys = Keys(settings.keys)
        self.jobs = Jobs(Runner(settings, self._objects, self._serve).run)

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """Runs the server; yields its URL."""
        context = None
        if self._settings.tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(CERTIFICATE)
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context, limit=MAX_HEAD)
        try:
            port = server.sockets[0].getsockname()[1]
            yield f"https://localhost:{port}" if context else f"http://127.0.0.1:{port}"
        finally:
            server.close()
            await self.jobs.stop()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, login: str = "") -> None:
        """Serves a connection to its end. `login`: it comes from a zone, whose requests count as that account's."""
        try:
            while await self._one(await read_head(reader), reader, writer, login):
                await writer.drain()
        except (Gone, OSError, asyncio.IncompleteReadError):
            pass
        except asyncio.CancelledError:
            pass  # the stand-in stops; up to Python 3.11 a stream's cancelled task is reported as a failure
        finally:
            writer.close()

    async def _one(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, login: str) -> bool:
        """Answers one request. Returns whether another may follow on the connection."""
        try:
            request = Request(head, reader, writer)
        except Refusal as refusal:
            Request(b"GET / HTTP/1.0\r\n\r\n", reader, writer).refuse(refusal)
            return False
        try:
            carry = await self._route(request, login)
            self._note(request, "ok")
            if carry is not None:
                await carry()
        except Refusal as refusal:
            self._note(request, refusal.code, refusal.message)
            await request.pass_over_body()
            request.refuse(refusal)
        return request.keep_alive

    def _note(self, request: Request, outcome: str, message: str = "") -> None:
        entry = {"method": request.method, "path": request.path, "who": request.who}
        self.log.append({**entry, "outcome": outcome, "message": message})

    async def _route(self, request: Request, login: str) -> muskie.Carry | None:
        """Answers a request, or upgrades its connection and returns what copies its bytes."""
        attach = ATTACH.fullmatch(request.path)
        request.keep_alive = request.keep_alive and attach is None
        if attach is not None and self._settings.front_door and not login:
            return await muskie.pass_through(request, self._settings)
        who = login or identify(request, self._keys)
        request.who = who or "-"
        names = request.segments()
        _authorize(request, who, names)
        job = JOB.fullmatch(request.path)
        if attach is not None and request.method == "GET":
            return await muskie.attach(request, attach[2], attach[3], self._settings)
        if job is not None and job[2]:
            await self.jobs.answer(request, self.jobs.find(job[1], job[2]), job[3])
        elif job is not None and request.method == "POST":
            await self.jobs.create(request, job[1])
        elif request.method in ("GET", "HEAD"):
            self._objects.head(request, names)
        elif request.method == "PUT":
            await self._objects.put(request, names)
        elif request.method == "DELETE":
            self._objects.delete(request, names)
        else:
            raise Refusal(405, "MethodNotAllowed", f"{request.method} is not allowed on {request.path}")
        return None


def _authorize(request: Request, who: str | None, names: list[str]) -> None:
    """An account may do anything to its own objects; everybody may read public ones. Raises Refusal otherwise."""
    if who == names[0]:
        return
    if request.method in ("GET", "HEAD") and names[1:2] == ["public"]:
        return
    if who is None:
        raise Refusal(401, "AuthorizationRequired", "Authorization is required")
    raise Refusal(403, "AuthorizationFailed", f"{who} is not allowed to access {request.path}")

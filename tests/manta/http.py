"""The part of HTTP/1.1 that Manta's clients use, on asyncio's streams; refusals in restify's JSON."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from email.utils import formatdate
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

MAX_HEAD = 64 * 1024
MAX_BODY = 64 << 20
BODILESS = (204, 304)


class Refusal(Exception):
    """An error answer: HTTP status, Manta's code, and a message for people."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class Gone(Exception):
    """The client closed the connection."""


class Request:
    """A request whose head was read. `head` is that head, byte for byte. Names in `headers` are in lower case."""

    def __init__(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, *lines = head.decode("latin-1").split("\r\n")[:-2]
        words = first.split(" ")
        if len(words) != 3 or not words[1].startswith("/") or not words[2].startswith("HTTP/1."):
            raise Refusal(400, "BadRequest", "not an HTTP/1.1 request")
        self.method, self.target, version = words
        self.path, _, self.query = self.target.partition("?")
        self.headers = _headers(lines)
        self.head, self.reader, self.writer = head, reader, writer
        self.who = "-"
        self.keep_alive = version == "HTTP/1.1" and self.header("connection").lower() != "close"
        self._body_taken = not (self.header("transfer-encoding") or self.header("content-length", "0") != "0")

    def header(self, name: str, default: str = "") -> str:
        return self.headers.get(name, default)

    def segments(self) -> list[str]:
        """The decoded parts of the path. None is empty, `.` or `..`, and none holds a slash."""
        raw = self.path[1:].removesuffix("/").split("/")
        try:
            names = [unquote(name, errors="strict") for name in raw]
        except UnicodeDecodeError:
            raise Refusal(400, "InvalidResource", "the path is not UTF-8") from None
        if any(name in ("", ".", "..") or "/" in name or "\0" in name for name in names):
            raise Refusal(400, "InvalidResource", f"{self.path} is no path of an object")
        return names

    async def body(self) -> bytes:
        """The whole body. Sends `100 Continue` first if the client expects it."""
        if self._body_taken:
            return b""
        self._body_taken = True
        if self.header("expect").lower() == "100-continue":
            self.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if self.header("transfer-encoding").lower() == "chunked":
            return await self._chunks()
        length = self.header("content-length")
        if not length.isdecimal():
            raise Refusal(411, "ContentLengthRequired", "content-length must be a number")
        if int(length) > MAX_BODY:
            raise Refusal(413, "RequestEntityTooLarge", f"more than {MAX_BODY} bytes")
        return await self.reader.readexactly(int(length))

    async def _chunks(self) -> bytes:
        data = b""
        while size := _size(await self.reader.readuntil(b"\r\n")):
            data += await self.reader.readexactly(size)
            await self.reader.readuntil(b"\r\n")
            if len(data) > MAX_BODY:
                raise Refusal(413, "RequestEntityTooLarge", f"more than {MAX_BODY} bytes")
        while await self.reader.readuntil(b"\r\n") != b"\r\n":
            pass
        return data

    async def pass_over_body(self) -> None:
        """Reads the body before a refusal. A client that waits for `100 Continue` gets the refusal at once instead."""
        if self._body_taken:
            return
        if self.header("expect"):
            self._body_taken, self.keep_alive = True, False
            return
        try:
            await self.body()
        except Refusal:
            self.keep_alive = False

    def answer(self, status: int, headers: Mapping[str, str] | None = None, body: bytes = b"") -> None:
        fields = {"Date": formatdate(usegmt=True), "Server": "Manta", "x-request-id": self.header("x-request-id", "-")}
        if status not in BODILESS:
            fields["Content-Length"] = str(len(body))
        fields |= {"Connection": "keep-alive" if self.keep_alive else "close", **(headers or {})}
        lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *(f"{name}: {fields[name]}" for name in fields)]
        self.writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
        if self.method != "HEAD" and status not in BODILESS:
            self.writer.write(body)

    def answer_json(self, status: int, value: Any, headers: Mapping[str, str] | None = None) -> None:
        body = json.dumps(value).encode()
        self.answer(status, {"Content-Type": "application/json", **(headers or {})}, body)

    def refuse(self, refusal: Refusal) -> None:
        self.answer_json(refusal.status, {"code": refusal.code, "message": refusal.message})


def _size(line: bytes) -> int:
    try:
        return int(line.split(b";")[0], 16)
    except ValueError:
        raise Refusal(400, "BadRequest", "a chunk without a size") from None


def _headers(lines: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise Refusal(400, "BadRequest", "a header line without a name")
        name, value = name.lower(), value.strip()
        if name in found and name in ("authorization", "date", "host", "content-length"):
            raise Refusal(400, "BadRequest", f"{name} came twice")
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


async def read_head(reader: asyncio.StreamReader) -> bytes:
    """The next request's head; raises Gone if the connection ends before."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
        raise Gone from None
    # npm restify-clients sends the body `{}` after `content-length: 0`; on a kept connection it comes before this head.
    return head.removeprefix(b"{}")

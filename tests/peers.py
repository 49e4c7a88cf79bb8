"""Raw peers of a reflector: they send and receive bytes, without the codec under test."""

from __future__ import annotations

import contextlib
import json
import re
import select
import socket
from collections.abc import Iterator
from threading import Event, Thread
from types import TracebackType
from typing import Any, NamedTuple, TypeVar

from tests import frames
from tests.waiting import MS, PATIENCE, Deadline

KEY = "lDyCX+bu/SVA+XvXx6k3dQ=="
ACCEPT = "irtSy8QyKxhM3d85g8QPxeBtlIw="
"""What RFC 6455 section 4.2.2 makes of KEY; computed once, by other means than those under test."""
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
WAIT = b'medusa:{"type":"wait"}'
LINKUP = b'medusa:{"type":"linkup"}'


class Answer(NamedTuple):
    """An HTTP answer; header names in lower case. `rest`: all that came after the head, up to the FIN."""

    status: int
    headers: dict[str, str]
    rest: bytes
    raw: bytes

    def json(self) -> Any:
        return json.loads(self.rest)

    @property
    def undated(self) -> bytes:
        """All of it but the Date: fit to be compared with another's."""
        return re.sub(rb"Date: [^\r]*\r\n", b"", self.raw)


class Frame(NamedTuple):
    """A frame as it came."""

    opcode: int
    payload: bytes
    fin: bool = True

    @property
    def close(self) -> tuple[int, str]:
        """Code and reason."""
        assert self.opcode == CLOSE, self
        return int.from_bytes(self.payload[:2], "big"), self.payload[2:].decode()


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, key: bytes | None = bytes(4)) -> bytes:
    """A client's frame; `key` is None for one that is not masked."""
    return frames.frame(opcode, payload, fin=fin, key=key)


def close_frame(code: int = 1000, reason: str = "") -> bytes:
    return frame(CLOSE, code.to_bytes(2, "big") + reason.encode())


def upgrade(path: str, *, version: str | None = None, **changed: str | None) -> bytes:
    """What the front door sends; `changed` headers (with _ for -), None to leave one out."""
    headers: dict[str, str | None] = {"connection": "upgrade", "upgrade": "websocket", "sec-websocket-key": KEY}
    headers |= {"host": "127.0.0.1:21081", "sec-websocket-version": version}
    headers |= {name.replace("_", "-"): value for name, value in changed.items()}
    lines = [f"GET {path} HTTP/1.1"] + [f"{name}: {value}" for name, value in headers.items() if value is not None]
    return "\r\n".join([*lines, "", ""]).encode()


P = TypeVar("P", bound="Peer")


class Peer:
    """A raw connection. Every read has a deadline; closed with `close` or by `with`."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.received = b""

    def __enter__(self: P) -> P:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self.sock.close()

    def reset(self) -> None:
        """Go away with an RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.sock.close()

    def fin(self) -> None:
        socket.socket.shutdown(self.sock, socket.SHUT_WR)  # an SSLSocket would stop to decrypt

    def send(self, data: bytes) -> None:
        self.sock.settimeout(PATIENCE)
        self.sock.sendall(data)

    def through(self, data: bytes, sink: Peer) -> Frame:
        """Sends what no buffer on its way holds; the frame that comes of it at `sink`."""
        sender = Thread(target=self.send, args=(data,))
        sender.start()
        try:
            return sink.frame()
        finally:
            sender.join()

    @contextlib.contextmanager
    def breathing(self) -> Iterator[None]:
        """Signs of life all along, for a peer that does nothing else."""
        over = Event()

        def breathe() -> None:
            with contextlib.suppress(OSError):
                while not over.wait(50 * MS):
                    self.sock.sendall(frame(PONG))

        breather = Thread(target=breathe)
        breather.start()
        try:
            yield
        finally:
            over.set()
            breather.join()

    def text(self, text: str) -> None:
        self.send(frame(TEXT, text.encode()))

    def binary(self, data: bytes = b"") -> None:
        self.send(frame(BINARY, data, key=b"\x0a\x0b\x0c\x0d"))

    def head(self) -> Answer:
        """The HTTP head that comes next."""
        deadline = Deadline()
        while b"\r\n\r\n" not in self.received:
            self._more(deadline)
        raw, self.received = self.received.split(b"\r\n\r\n", 1)
        return _answer(raw + b"\r\n\r\n", b"")

    def answer(self) -> Answer:
        """A whole HTTP answer, to the FIN."""
        head = self.head()
        self.until_fin()
        rest, self.received = self.received, b""
        return head._replace(rest=rest, raw=head.raw + rest)

    def frame(self, seconds: float = PATIENCE) -> Frame:
        """The next frame."""
        deadline = Deadline(seconds)
        first, second = self.take(2, deadline)
        assert second < 0x80, "a server's frames are not masked"
        assert not first & 0x70, "no extension was agreed on"
        length = second & 0x7F
        if length > 125:
            length = int.from_bytes(self.take(2 if length == 126 else 8, deadline), "big")
        return Frame(first & 0x0F, self.take(length, deadline), bool(first & 0x80))

    def word(self) -> Frame:
        """The next frame but for pings, which are answered."""
        while (message := self.frame()).opcode == PING:
            with contextlib.suppress(OSError):
                self.control(PONG, message.payload)
        return message

    def control(self, opcode: int, payload: bytes = b"") -> None:
        """Sends a control frame of this kind of peer."""
        self.send(frame(opcode, payload))

    def linked(self) -> None:
        """Reads up to the linkup, which follows waits."""
        while (message := self.word()) == (TEXT, WAIT, True):
            pass
        assert message == (TEXT, LINKUP, True)

    def expect(self, opcode: int, payload: bytes) -> None:
        """The next frame is whole and this one."""
        assert self.frame() == Frame(opcode, payload)

    def until_fin(self) -> bytes:
        """What comes up to the FIN; a reset is an error."""
        deadline = Deadline()
        while self._more(deadline, end_expected=True):
            pass
        return self.received

    def closed(self) -> tuple[int, str]:
        """The Close that comes next, apart from pings. After the answer to it only a FIN may come."""
        close = self.word().close
        with contextlib.suppress(OSError):
            self.control(CLOSE, close[0].to_bytes(2, "big"))
        assert self.until_fin() == b""
        return close

    def writable(self, seconds: float = 0.2) -> bool:
        """Whether more can be sent; not so when it took nothing for a while: all buffers on its way are full."""
        return bool(select.select([], [self.sock], [], seconds)[1])

    def quiet(self, seconds: float = 0.05) -> bool:
        """Whether nothing, not even a FIN, comes for a moment: for what must not happen."""
        return not self.received and not select.select([self.sock], [], [], seconds)[0]

    def take(self, size: int, deadline: Deadline) -> bytes:
        """The next `size` bytes."""
        if len(self.received) < size:
            parts, have = [self.received], len(self.received)
            while have < size:
                self.received = b""
                self._more(deadline)
                parts.append(self.received)
                have += len(self.received)
            self.received = b"".join(parts)
        data, self.received = self.received[:size], self.received[size:]
        return data

    def _more(self, deadline: Deadline, end_expected: bool = False) -> bool:
        self.sock.settimeout(max(deadline.left, 0.001))
        data = self.sock.recv(1 << 18)
        assert data or end_expected, f"the connection ended early, after {self.received!r}"
        self.received += data
        return bool(data)


def _answer(raw: bytes, rest: bytes) -> Answer:
    first, *lines = raw.decode("latin-1").split("\r\n")[:-2]
    match = re.fullmatch(r"HTTP/1\.1 (\d{3}) [A-Z][A-Za-z ]+", first)
    assert match, first
    pairs = [line.split(": ", 1) for line in lines]
    headers = {name.lower(): value for name, value in pairs}
    assert len(headers) == len(lines), f"a header twice in {raw!r}"
    return Answer(int(match[1]), headers, rest, raw + rest)

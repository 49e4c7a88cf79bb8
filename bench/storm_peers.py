"""Simulated peers of very many sessions: the child processes of bench.storm.

Each session has what a real one has: the home link of its agent, the link of its client, and the agent's link for this
client. The peers come back with their tickets after the intervals of the real ones. Each session has addresses of its
own, all of loopback.
"""

from __future__ import annotations

import contextlib
import heapq
import json
import os
import random
import re
import resource
import secrets
import select
import socket
import struct
import sys
import time
from collections import deque
from typing import Any

from agent.dial.returning import Returning

HOME, CLIENT, LEG = "home", "client", "leg"
AT_ONCE = 32
"""So many sessions are set up at the same time, before the storm."""

_NO_PORT_YET = 24
"""IP_BIND_ADDRESS_NO_PORT, which Python does not name: the kernel chooses the port when it knows where to."""

_STATUS = re.compile(rb"HTTP/1\.1 (\d{3})")
_TICKET = re.compile(rb"(?i)\r\nmedusa-ticket: *([^\r]+)")
_LATER = re.compile(rb"(?i)\r\nretry-after: *(\d+)")
_CALL = re.compile(rb'"leg": ?"([0-9a-f]+)"')
_MASKED_PONG = b"\x8a\x80\0\0\0\0"
_HEAD = (
    "GET /attach/%s/%s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n"
)


class Session:
    """One session: its tickets, and when its peers dial again."""

    def __init__(self, number: int) -> None:
        self.id = secrets.token_hex(16)
        self.incarnation = secrets.token_hex(16)
        self.tickets = {HOME: "", CLIENT: ""}
        self.returning: dict[str, Returning] = {}
        self.linked = False
        self.address = "%d.%d.%d" % (number >> 14 & 63, number >> 7 & 127, number % 127 + 1)

    def head(self, kind: str, leg: str) -> bytes:
        """Returns the request of one of the peers. `leg`: the id of the call that the peer answers."""
        if kind == CLIENT:
            fields = "Medusa-Features: notice,hold\r\n" + ("Medusa-Join: 1\r\n" if self.tickets[kind] else "")
        else:
            fields = "Medusa-Features: call,hold\r\nMedusa-Incarnation: %s\r\n" % self.incarnation
        if leg:
            fields += "Medusa-Leg: %s\r\n" % leg
        elif self.tickets[kind]:
            fields += "Medusa-Ticket: %s\r\n" % self.tickets[kind]
        return (_HEAD % (self.id, "master" if kind == CLIENT else "slave", fields)).encode()


class Link:
    """One connection. `leg`: the id of the call that it answers, if it is the agent's link for a client."""

    def __init__(self, session: Session, kind: str, leg: str = "") -> None:
        self.session, self.kind, self.leg = session, kind, leg
        self.data = b""
        self.sent = self.open = False
        self.sock = socket.socket()
        self.sock.setblocking(False)
        with contextlib.suppress(OSError):
            self.sock.setsockopt(socket.IPPROTO_IP, _NO_PORT_YET, 1)
        self.sock.bind(("127.%s" % session.address, 0))


class Peers:
    """The peers of `count` sessions at the reflector on `port`."""

    def __init__(self, port: int, first: int, count: int) -> None:
        self._port = port
        self._poll = select.epoll()
        self._links: dict[int, Link] = {}
        self._due: list[tuple[float, int, Session, str]] = []
        self._new = deque(Session(number) for number in range(first, first + count))
        self._count, self._linked, self._setting_up = count, 0, 0
        self.refused: dict[str, int] = {}

    def run(self) -> None:
        """Keeps all sessions. Prints a line of JSON each time that all are linked. Ends when stdin does."""
        self._poll.register(0, select.EPOLLIN)
        while True:
            while self._new and self._setting_up < AT_ONCE:
                self._setting_up += 1
                self._dial(Link(self._new.popleft(), HOME))
            now = time.monotonic()
            while self._due and self._due[0][0] <= now:
                _, _, session, kind = heapq.heappop(self._due)
                self._dial(Link(session, kind))
            left = max(0.0, self._due[0][0] - now) if self._due else 60.0
            for fd, events in self._poll.poll(left):
                if fd == 0:
                    return
                link = self._links.get(fd)
                if link is not None:
                    self._step(link, events)

    def _dial(self, link: Link) -> None:
        self._links[link.sock.fileno()] = link
        self._poll.register(link.sock, select.EPOLLOUT)
        link.sock.connect_ex(("127.0.0.1", self._port))

    def _step(self, link: Link, events: int) -> None:
        try:
            if not link.sent:
                if link.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                    raise ConnectionRefusedError
                link.sock.send(link.session.head(link.kind, link.leg))
                link.sent = True
                self._poll.modify(link.sock, select.EPOLLIN)
                return
            data = link.sock.recv(1 << 16)
        except OSError:
            data = b""
        if not data:
            self._lost(link, "connection")
            return
        link.data += data
        if not link.open:
            self._answered(link)
        if link.open:
            self._frames(link)

    def _answered(self, link: Link) -> None:
        end = link.data.find(b"\r\n\r\n")
        if end < 0:
            return
        head, link.data = link.data[: end + 2], link.data[end + 4 :]
        status = _STATUS.match(head)
        assert status is not None, head
        if status[1] != b"101":
            later = _LATER.search(head)
            self._lost(link, status[1].decode(), float(later[1]) if later else 0.0)
            return
        link.open, session = True, link.session
        if link.kind != LEG:
            ticket = _TICKET.search(head)
            assert ticket is not None, head
            first = not session.tickets[link.kind]
            session.tickets[link.kind] = ticket[1].decode()
            session.returning.pop(link.kind, None)
            if first and link.kind == HOME:
                self._dial(Link(session, CLIENT))

    def _frames(self, link: Link) -> None:
        data, at = link.data, 0
        while len(data) - at >= 2:
            size, start = data[at + 1], at + 2
            if size == 126:
                if len(data) < start + 2:
                    break
                (size,), start = struct.unpack_from(">H", data, start), start + 2
            if len(data) < start + size:
                break
            self._frame(link, data[at] & 15, data[start : start + size])
            at = start + size
        link.data = data[at:]

    def _frame(self, link: Link, opcode: int, payload: bytes) -> None:
        if opcode == 9:
            link.sock.send(_MASKED_PONG)
        elif opcode == 1 and b'"call"' in payload:
            call = _CALL.search(payload)
            assert call is not None
            self._dial(Link(link.session, LEG, call[1].decode()))
        elif opcode == 1 and b'"linkup"' in payload and link.kind == CLIENT:
            self._link_up(link.session)

    def _link_up(self, session: Session) -> None:
        session.linked = True
        self._linked += 1
        self._setting_up = max(0, self._setting_up - 1)
        if self._linked == self._count:
            print(json.dumps({"linked_at": time.monotonic(), "refused": self.refused}), flush=True)

    def _lost(self, link: Link, why: str, later: float = 0.0) -> None:
        now, session, kind = time.monotonic(), link.session, link.kind
        del self._links[link.sock.fileno()]
        link.sock.close()
        if not link.open:
            self.refused[f"{kind} {why}"] = self.refused.get(f"{kind} {why}", 0) + 1
        if kind == CLIENT and session.linked:
            session.linked = False
            self._linked -= 1
        if kind == LEG:
            return
        known = session.returning.get(kind)
        if known is None:
            session.returning[kind] = known = Returning(now, 3600.0, random.random)
        else:
            known.refused(now, later)
        heapq.heappush(self._due, (known.at, id(link), session, kind))


def probe(port: int) -> dict[str, Any]:
    """Types into a session at the reflector on `port` until stdin ends.

    Returns how long the echo took, in ms; an empty dict if nothing was typed.
    """
    pair = None
    while pair is None:
        try:
            entered = [_enter(port, role) for role in ("master", "slave")]
            pair = [_await_link_up(*each) for each in entered]
        except OSError:
            time.sleep(0.005)
        if select.select([0], [], [], 0)[0]:
            return {}
    client, agent = pair
    times: list[float] = []
    key = b"\x82\x81\0\0\0\0x"
    while not select.select([0], [], [], 0.01)[0]:
        begun = time.monotonic()
        for near, far in ((client, agent), (agent, client)):
            near.send(key)
            while (got := far.recv(4096)) and b"\x82\x01x" not in got:
                pass
        times.append(1000 * (time.monotonic() - begun))
    if not times:
        return {}
    sorted_ = sorted(times)
    at = {name: sorted_[int(share * (len(sorted_) - 1))] for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1))}
    return {"keys": len(sorted_), **at, "late": sum(took > 20 for took in sorted_)}


_session = secrets.token_hex(16)


def _enter(port: int, role: str) -> tuple[socket.socket, bytes]:
    """Returns a connection that was let in, and the bytes that came after the answer. Raises OSError."""
    fields = _HEAD % (_session, role, "")
    sock = socket.create_connection(("127.0.0.1", port), 60)
    sock.sendall(fields.encode())
    data = b""
    while b"\r\n\r\n" not in data:
        got = sock.recv(1 << 16)
        if not got:
            raise ConnectionResetError
        data += got
    if not data.startswith(b"HTTP/1.1 101"):
        sock.close()
        raise ConnectionRefusedError
    return sock, data.partition(b"\r\n\r\n")[2]


def _await_link_up(sock: socket.socket, data: bytes) -> socket.socket:
    """Waits until the two sides are joined: what a peer sends before is dropped. Returns `sock`. Raises OSError."""
    while b'"linkup"' not in data:
        got = sock.recv(1 << 16)
        if not got:
            raise ConnectionResetError
        data += got
    return sock


def main() -> None:
    """Runs the peers of some sessions: arguments PORT FIRST COUNT; or types into one: argument PORT."""
    port, *sessions = map(int, sys.argv[1:])
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if sessions:
        Peers(port, *sessions).run()
    else:
        print(json.dumps(probe(port)), flush=True)
    os._exit(0)  # at once, although so many sockets are open


if __name__ == "__main__":
    main()

"""Peers of a reflector's raw port: with frames made by hand, or with none."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

from tests.frames import raw_frame
from tests.peers import Frame, Peer
from tests.reflectors import Reflector, new_id
from tests.waiting import PATIENCE, Deadline, wait_until


class PlainPeer(Peer):
    """Lines, then bytes."""

    def line(self) -> bytes:
        deadline = Deadline()
        while b"\n" not in self.received:
            self._more(deadline)
        line, _, self.received = self.received.partition(b"\n")
        return line

    def refused(self) -> bytes:
        """The one line that comes, and a FIN after it."""
        self.until_fin()
        line = self.line()
        assert self.received == b""
        return line

    def hears(self, data: bytes) -> None:
        """The next bytes are these."""
        assert self.take(len(data), Deadline()) == data


class FramedPeer(PlainPeer):
    """Frames of raw TCP, after the lines."""

    def frame(self, seconds: float = PATIENCE) -> Frame:
        deadline = Deadline(seconds)
        head = self.take(8, deadline)
        assert head[0] >> 4 == 1
        assert head[1] == 0
        return Frame(head[0] & 0x0F, self.take(int.from_bytes(head[2:], "big"), deadline))

    def control(self, opcode: int, payload: bytes = b"") -> None:
        self.send(raw_frame(opcode, payload))


def connect(reflector: Reflector, data: bytes = b"", port: int | None = None) -> PlainPeer:
    """A connection to the raw port on which `data` was sent."""
    sock = socket.create_connection(("127.0.0.1", port or reflector.raw_port), timeout=PATIENCE)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    peer = PlainPeer(sock)
    peer.send(data)
    return peer


def plain(reflector: Reflector, session: str, side: str, behind: bytes = b"") -> PlainPeer:
    """One without frames, its greeting sent; `behind` follows in the same segment."""
    return connect(reflector, f"ATTACH {session} {side}\n".encode() + behind)


def framed(reflector: Reflector, session: str, side: str, behind: bytes = b"") -> FramedPeer:
    """One with frames, its greeting accepted."""
    role = {"client": "master", "agent": "slave"}[side]
    peer = FramedPeer(connect(reflector, f"MEDUSA/1 /attach/{session}/{role} here\n".encode() + behind).sock)
    try:
        assert peer.line() == b"OK"
    except BaseException:
        peer.close()
        raise
    return peer


def websocket(reflector: Reflector, session: str, side: str, behind: bytes = b"") -> Peer:
    """One that upgraded."""
    return reflector.attach(session, {"client": "master", "agent": "slave"}[side], behind)


ATTACH = {"websocket": websocket, "framed": framed, "plain": plain}


@contextlib.contextmanager
def pair(reflector: Reflector, client_kind: str, agent_kind: str, session: str = "") -> Iterator[tuple[Peer, Peer]]:
    """A client and an agent that are linked and have read the linkup."""
    session = session or new_id()
    with ATTACH[client_kind](reflector, session, "client") as client:
        wait_until(lambda: reflector.states().get(session) == "slave_wait")
        with ATTACH[agent_kind](reflector, session, "agent") as agent:
            linked(client, b"OK waiting")
            linked(agent)
            yield client, agent


def linked(peer: Peer, *before: bytes) -> None:
    """Reads up to the linkup; a plain peer gets the lines `before` first."""
    if isinstance(peer, FramedPeer) or not isinstance(peer, PlainPeer):
        peer.linked()
    else:
        assert [peer.line() for _ in range(len(before) + 1)] == [*before, b"OK linked"]

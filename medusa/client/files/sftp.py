"""The client's end of SFTP version 3, without I/O: builds requests, and finds the request of each answer."""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Generator, Sequence
from typing import Any, NamedTuple

from medusa.protocol.sftp import packets as p
from medusa.protocol.sftp.packets import BadPacket, Cutter, Fields, packet, text

MAX_OUTSTANDING = 4 * 1024 * 1024
"""Bytes of files. While requests for so many wait for their answers, a piece of work has only one such request."""

TAKEN = 64 * 1024
"""The most bytes of small requests that are sent at once. Larger ones are not copied for that."""

_WORDS = {
    p.EOF: "end of file",
    p.NO_SUCH_FILE: "No such file or directory",
    p.PERMISSION_DENIED: "Permission denied",
    p.UNSUPPORTED: "the SFTP server of this job cannot do that",
}


class SftpError(Exception):
    """The server could not carry out a request. The text says why.

    Attributes:
        status: the code of the answer STATUS.
    """

    def __init__(self, status: int, words: str) -> None:
        super().__init__(_WORDS.get(status) or words or "the SFTP server gives no reason")
        self.status = status


class Answer(NamedTuple):
    """The answer to a request: its type, and the fields after the number."""

    kind: int
    fields: Fields


class Ticket:
    """Stands for a request that was sent. A piece of work yields it to wait for the answer.

    Attributes:
        size: the bytes of a file that the request carries or asks for.
        answer: the answer, as soon as it has come.
        waiting: the piece of work that waits for the answer; None if none does.
    """

    __slots__ = ("answer", "size", "waiting")

    def __init__(self, size: int) -> None:
        self.size = size
        self.answer: Answer | None = None
        self.waiting: Any = None


Steps = Generator[Ticket, Answer, Any]
"""A piece of work. It yields the Ticket whose answer it needs next, and gets the answer."""


class Sftp:
    """The requests of one client that wait for their answers.

    Attributes:
        outstanding: the bytes of files that all requests carry or ask for that were not answered yet.
        chunk: the most bytes of a file that one request reads or writes.
        extensions: the names of the extensions that the server has.
    """

    def __init__(self) -> None:
        self._cutter = Cutter()
        self._last = p.PROTOCOL_VERSION
        self._tickets: dict[int, Ticket] = {}
        self._out: deque[bytes] = deque()
        self.queued = 0
        self.outstanding = 0
        self.chunk = p.USUAL_DATA
        self.extensions: frozenset[bytes] = frozenset()

    def post(self, kind: int, *fields: bytes, size: int = 0) -> Ticket:
        """Queues a request. Returns its ticket.

        Args:
            fields: all fields after the number of the request.
            size: how many bytes of a file it carries or asks for.
        """
        self._last = self._last % 0xFFFFFFFF + 1
        return self._post(kind, self._last, *fields, size=size)

    def _post(self, kind: int, number: int, *fields: bytes, size: int = 0) -> Ticket:
        ticket = self._tickets[number] = Ticket(size)
        data = packet(kind, number, *fields)
        self._out.append(data)
        self.queued += len(data)
        self.outstanding += size
        return ticket

    def take(self) -> bytes:
        """Returns the next requests that wait to be sent, a large one or many small ones, and forgets them."""
        taken, size = list[bytes](), 0
        while self._out and (not taken or size + len(self._out[0]) <= TAKEN):
            taken.append(self._out.popleft())
            size += len(taken[-1])
        self.queued -= size
        return b"".join(taken)

    def feed(self, data: bytes) -> Sequence[Ticket]:
        """Takes bytes that have come from the server. Returns the tickets whose answers are complete now.

        Raises:
            BadPacket: the server breaks the protocol.
        """
        done = []
        for piece in self._cutter.cut(data):
            fields = Fields(piece, 1)
            number = p.PROTOCOL_VERSION if piece[0] == p.VERSION else fields.number()
            ticket = self._tickets.pop(number, None)
            if ticket is None:
                raise BadPacket("an answer to no request")
            self.outstanding -= ticket.size
            ticket.answer = Answer(piece[0], fields)
            done.append(ticket)
        return done

    # ------------------------------------------------------------------ requests

    def begin(self) -> Steps:
        """Agrees with the server on the version, and asks for its limits. Raises BadPacket and SftpError."""
        _, fields = yield self._post(p.INIT, p.PROTOCOL_VERSION)
        if fields.number() < p.PROTOCOL_VERSION:
            raise BadPacket("a version of SFTP before 3")
        names = []
        while not fields.over:
            names.append(fields.text())
            fields.view()
        self.extensions = frozenset(names)
        if p.LIMITS in self.extensions:
            found = yield from self.ask(p.EXTENDED_REPLY, p.EXTENDED, text(p.LIMITS))
            found.long()
            self.chunk = min(p.MAX_DATA, found.long() or p.USUAL_DATA, found.long() or p.USUAL_DATA)
            self.chunk = max(self.chunk, 1024)

    def ask(self, expected: int, kind: int, *fields: bytes) -> Generator[Ticket, Answer, Fields]:
        """Sends a request, waits for its answer, and returns the fields of the answer.

        Args:
            expected: the type of the answer. All fields of a STATUS are taken here; its code must be OK.

        Raises:
            SftpError: the request could not be carried out.
        """
        answer = yield self.post(kind, *fields)
        return check(answer, expected)

    def open(self, path: bytes, flags: int, attributes: bytes) -> Generator[Ticket, Answer, bytes]:
        """Opens a file. Returns its handle, as a field. Raises SftpError."""
        fields = yield from self.ask(p.HANDLE, p.OPEN, text(path), struct.pack(">I", flags), attributes)
        return text(fields.text())

    def may_post(self, own: int) -> bool:
        """True if a piece of work that has `own` requests for bytes of files may send one more."""
        return own < 1 or (self.outstanding < MAX_OUTSTANDING and own < 1024)


def check(answer: Answer, expected: int = p.STATUS) -> Fields:
    """Returns the fields of an answer of the type `expected`. Raises SftpError if it is another, or an error."""
    kind, fields = answer
    if kind == p.STATUS:
        status = fields.number()
        if status != p.OK or expected != p.STATUS:
            words = "" if fields.over else fields.text().decode("utf-8", "replace")
            raise SftpError(status, words)
    elif kind != expected:
        raise SftpError(p.FAILURE, "the SFTP server has sent another answer (%d)" % kind)
    return fields

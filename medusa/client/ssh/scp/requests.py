"""Requests to the job's SFTP server, and their answers, by one channel."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import TypeVar

import asyncssh

from medusa.client.aio.channel_io import ChannelIO
from medusa.client.aio.errors import ChannelError
from medusa.client.files.sftp import Answer, Sftp, SftpError, Ticket
from medusa.protocol.sftp import packets as p
from medusa.protocol.sftp.packets import BadPacket

_T = TypeVar("_T")

_ERRORS: dict[int, Callable[[str], asyncssh.SFTPError]] = {
    p.NO_SUCH_FILE: asyncssh.SFTPNoSuchFile,
    p.PERMISSION_DENIED: asyncssh.SFTPPermissionDenied,
}


class Requests:
    """Carries out pieces of work, many at once if their callers want so.

    Attributes:
        sftp: builds the requests.
    """

    def __init__(self, io: ChannelIO) -> None:
        self.sftp = Sftp()
        self._io, self._rest = io, memoryview(b"")
        self._waiting: set[asyncio.Future[None]] = set()
        self._error: asyncssh.SFTPError | None = None
        io.on_data, io.on_room = self._receive, self._send

    async def run(self, work: Generator[Ticket, Answer, _T], path: bytes = b"") -> _T:
        """Returns what a piece of work returns.

        Args:
            path: what it is about; stands in the error.

        Raises:
            asyncssh.SFTPError: the server could not do it, breaks the protocol, or is gone.
        """
        try:
            ticket = next(work)
            while True:
                ticket = work.send(await self._answer(ticket))
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        except SftpError as error:
            name = path.decode("utf-8", "replace")
            raise _ERRORS.get(error.status, asyncssh.SFTPFailure)(f"{name}: {error}" if name else str(error)) from None
        except BadPacket as error:
            raise asyncssh.SFTPBadMessage(str(error)) from None

    async def _answer(self, ticket: Ticket) -> Answer:
        while ticket.answer is None:
            if self._error is not None:
                raise self._error
            ticket.waiting = future = asyncio.get_running_loop().create_future()
            self._waiting.add(future)
            self._send()
            try:
                await future
            finally:
                self._waiting.discard(future)
        return ticket.answer

    def _send(self, sub: int = 0) -> None:
        """Sends what waits, as much as the channel takes. Called again as soon as it takes more."""
        try:
            while len(self._rest) or self._take():
                self._rest = self._rest[self._io.write_nowait(self._rest) :]
                if len(self._rest):
                    return
        except ChannelError as error:
            self._fail(asyncssh.SFTPConnectionLost(str(error)))

    def _take(self) -> bool:
        """Takes the next requests that wait. Returns False if there are none."""
        self._rest = memoryview(self.sftp.take())
        return len(self._rest) > 0

    def _receive(self, sub: int) -> None:
        try:
            while data := self._io.read_nowait():
                for ticket in self.sftp.feed(data):
                    if ticket.waiting is not None and not ticket.waiting.done():
                        ticket.waiting.set_result(None)
            if data is not None:
                self._fail(asyncssh.SFTPConnectionLost("the SFTP server has ended"))
        except ChannelError as error:
            self._fail(asyncssh.SFTPConnectionLost(str(error)))
        except BadPacket as error:
            self._fail(asyncssh.SFTPBadMessage(str(error)))

    def _fail(self, error: asyncssh.SFTPError) -> None:
        """Nothing more is answered. Wakes all that wait."""
        self._error = self._error or error
        for future in self._waiting:
            if not future.done():
                future.set_result(None)

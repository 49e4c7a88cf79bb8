"""Runs one copy on a channel of the kind `sftp`, and tells the user what has failed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Iterable, Iterator

from medusa.client.aio.channel_io import ChannelIO
from medusa.client.aio.driver import Driver
from medusa.client.aio.errors import ChannelError, ChannelRefused
from medusa.client.files.download import Downloads
from medusa.client.files.jobs import Jobs
from medusa.client.files.places import Copy, base_name
from medusa.client.files.progress import line
from medusa.client.files.remote import expanded, found_at, is_directory
from medusa.client.files.report import Report, Wish
from medusa.client.files.sftp import Sftp, SftpError, Steps
from medusa.client.files.upload import Uploads
from medusa.client.outcome import Failure, OutcomeUnknown
from medusa.client.terminal.messages import Messages
from medusa.protocol.sftp.packets import BadPacket

PROGRESS_INTERVAL = 0.2
"""Seconds between two states of the line that shows how far the copy is."""

SOME_FAILED = 1
"""The exit status if something could not be copied."""


class Program:
    """One copy. Its method `run` is a program for AioSession (see medusa/client/aio).

    `silent`: True to show no line that says how far the copy is.
    """

    def __init__(self, copy: Copy, wish: Wish, *, silent: bool = False) -> None:
        self._copy, self._wish, self._silent = copy, wish, silent
        self._sftp = Sftp()
        self._jobs = Jobs(self._sftp)
        self._news = asyncio.Event()  # there is something to send, or all work is done
        self._failure: Exception | None = None

    async def run(self, driver: Driver, messages: Messages) -> int:
        """Copies. Returns the exit status.

        Raises:
            Failure: the copy could not begin, or it was cut off.
        """
        try:
            channel = await driver.open("sftp", own=True)  # it is faster for small files, and says why something fails
        except ChannelRefused as error:
            old = " (its agent is too old to copy files)" if error.code == "unsupported" else ""
            raise Failure(f"the session refuses: {error}{old}") from None
        except ChannelError as error:
            raise Failure(str(error)) from None
        report = Report(messages.error)
        way = (Uploads if self._copy.uploads else Downloads)(self._sftp, self._jobs, self._wish, report)
        channel.on_data = lambda sub: self._arrived(channel)
        with self._shown(report, messages):
            await self._work(channel, [self._begin(way, report)])
            await self._work(channel, way.finish())
        channel.eof()
        return SOME_FAILED if report.failures else 0

    # ------------------------------------------------------------------ what to copy

    def _begin(self, way: Uploads | Downloads, report: Report) -> Steps:
        """Agrees with the server, and begins the copies of all that the user has named."""
        copy = self._copy
        try:
            yield from self._sftp.begin()
            sources, target = list(copy.sources), copy.target
            if copy.uploads:
                target = yield from expanded(self._sftp, target)
                into = is_directory((yield from found_at(self._sftp, target)))
            else:
                for number, source in enumerate(sources):
                    sources[number] = yield from expanded(self._sftp, source)
                into = os.path.isdir(target)
        except SftpError as error:
            report.failed(copy.target if copy.uploads else copy.sources[0], error)
            return
        if not into and (len(sources) > 1 or (target.endswith(b"/") and not self._wish.recursive)):
            report.failed(target, "not a directory")
            return
        targets = [os.path.join(target, base_name(source)) if into else target for source in sources]
        self._jobs.add(way.named(*pair) for pair in zip(sources, targets, strict=True))

    # ------------------------------------------------------------------ the channel

    async def _work(self, channel: ChannelIO, jobs: Iterable[Steps]) -> None:
        """Does all work. Raises Failure if the channel ends before."""
        self._jobs.add(jobs)
        self._jobs.begin()
        try:
            while not (self._jobs.over and not self._sftp.queued):
                if self._sftp.queued:
                    await channel.write(self._sftp.take())
                    self._jobs.begin()
                else:
                    self._news.clear()
                    await self._news.wait()
                if self._failure is not None:
                    raise self._failure
        except (ChannelError, BadPacket) as error:
            words = f"the copy is not complete: {error}\nthe same command with --resume goes on"
            raise OutcomeUnknown(words) from None

    def _arrived(self, channel: ChannelIO) -> None:
        try:
            while data := channel.read_nowait():
                self._jobs.answered(self._sftp.feed(data))
            if data == b"":
                self._failure = BadPacket("the SFTP server has ended")
        except Exception as error:  # noqa: BLE001 - the driver calls this; `_work` raises it again
            self._failure = error
        self._news.set()

    # ------------------------------------------------------------------ progress

    @contextlib.contextmanager
    def _shown(self, report: Report, messages: Messages) -> Iterator[None]:
        """Context manager: in its `with` block, a line shows how far the copy is, if that can be shown."""
        task = asyncio.get_running_loop().create_task(self._show(report, messages))
        try:
            yield
        finally:
            task.cancel()
            messages.progress_done()

    async def _show(self, report: Report, messages: Messages) -> None:
        begun = time.monotonic()
        while not self._silent:
            await asyncio.sleep(PROGRESS_INTERVAL)
            messages.redraw(line(report, time.monotonic() - begun))

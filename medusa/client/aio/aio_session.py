"""Runs a program made of coroutines on a conversation with an agent, in the place of a command on pipes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import selectors
import signal
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterator
from typing import Any

from medusa.client.aio.driver import Driver
from medusa.client.outcome import GivenUp, Interrupted
from medusa.client.streams.conversation import Conversation
from medusa.client.terminal.messages import Messages
from medusa.client.terminal.signals import FATAL, Signals
from medusa.client.timeouts import Timeouts
from medusa.protocol.channels.frames import Reason
from medusa.protocol.control import Exit
from medusa.transports.base import CLOSE_TIMEOUT

Program = Callable[[Driver, Messages], Awaitable[int]]
"""What a session runs: a function that uses channels, and returns the exit status."""


class AioSession:
    """One program that uses the channels of a conversation. It takes the place of PipesSession in a run of mlogin.

    Args:
        program: what to run. It is cancelled if the conversation ends, or if a signal asks for it.
        ignored: the signals that change nothing while the program runs.

    Attributes:
        opened: True if the agent has accepted the conversation.
        answered: False if the reflector did not answer the Close message, so that the link counts as dead.
    """

    def __init__(
        self,
        conversation: Conversation,
        messages: Messages,
        signals: Signals,
        timeouts: Timeouts,
        *,
        program: Program,
        ignored: Collection[int] = (),
    ) -> None:
        self._conversation, self._messages, self._signals, self._timeouts = conversation, messages, signals, timeouts
        self._program, self._ignored = program, ignored
        self.opened = False
        self.answered = True

    def run(self, **wish: object) -> Exit:
        """Runs the program. Returns its exit status, after the link was closed.

        Args:
            wish: the command that PipesSession would run. It is not looked at.

        Raises:
            Failure: the program has raised it, or the conversation has ended.
            Interrupted: a signal has come before the agent accepted the conversation.
        """
        close, timeout = "aborting", self._timeouts.disconnect_timeout
        try:
            status = in_loop(self._main())
            close, timeout = "done", CLOSE_TIMEOUT
        except Interrupted as interrupted:
            if not self.opened:
                raise
            raise GivenUp(str(interrupted)) from interrupted
        finally:
            reason = Reason("done" if close == "done" else "ended", close)
            self.answered = self._conversation.close(close, reason, timeout)
        return Exit(status=status)

    async def _main(self) -> int:
        driver = Driver(self._conversation, self._messages.error, self._timeouts)
        stop: asyncio.Future[Interrupted] = asyncio.get_running_loop().create_future()
        with contextlib.closing(driver), self._taking_signals(driver, stop):
            program = asyncio.ensure_future(self._run(driver))
            first: list[asyncio.Future[Any]] = [program, driver.over, stop]
            await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
            program.cancel()
            await asyncio.wait([program])
            if program.cancelled():
                raise stop.result() if stop.done() else driver.over.result()
            return program.result()

    async def _run(self, driver: Driver) -> int:
        await driver.begin()
        self.opened = True
        return await self._program(driver, self._messages)

    @contextlib.contextmanager
    def _taking_signals(self, driver: Driver, stop: asyncio.Future[Interrupted]) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        loop.add_reader(self._signals.fileno(), self._take_signals, driver, stop)
        try:
            yield
        finally:
            loop.remove_reader(self._signals.fileno())

    def _take_signals(self, driver: Driver, stop: asyncio.Future[Interrupted]) -> None:
        for number in self._signals.take():
            if number in self._ignored:
                continue
            if number in FATAL:
                if not stop.done():
                    stop.set_result(Interrupted(number))
            elif number == signal.SIGTSTP:
                with self._signals.default(signal.SIGTSTP):
                    os.kill(os.getpid(), signal.SIGTSTP)
                driver.resumed()
            elif number == signal.SIGCONT:
                driver.resumed()


def in_loop(main: Coroutine[Any, Any, int]) -> int:
    """Runs `main` in a new loop that uses poll(2), see Driver. Ends all tasks that it has left."""
    loop = asyncio.SelectorEventLoop(selectors.PollSelector())
    try:
        return loop.run_until_complete(main)
    finally:
        loop.run_until_complete(_end_tasks())
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


async def _end_tasks() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)

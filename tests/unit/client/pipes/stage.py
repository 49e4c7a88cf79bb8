"""mlogin on three pipes, whose other ends the test holds, and an agent that follows a script."""

from __future__ import annotations

import os
from collections.abc import Callable

from medusa.client.launchers.base import JobState
from medusa.client.pipes.pipes_session import PipesSession
from medusa.client.session.walltime import WalltimeNotices
from medusa.client.streams.conversation import Conversation
from medusa.client.terminal.messages import Messages
from medusa.client.terminal.signals import Signals
from medusa.client.timeouts import Timeouts
from medusa.protocol.control import Exit
from tests.unit.client.peers import Desk, Peer
from tests.unit.client.pipes.played_agent import PlayedAgent

Script = Callable[[PlayedAgent], None]


class Stage(Desk):
    """mlogin on three pipes, whose other ends the test holds."""

    def __init__(self) -> None:
        super().__init__()
        self.errors, self.error_pipe = os.pipe()
        self.job = JobState(alive=True, words="runs")
        self.timeouts = Timeouts()

    def close(self) -> None:
        super().close()
        for fd in (self.errors, self.error_pipe):
            os.close(fd)

    def type(self, data: bytes) -> None:
        os.write(self.keyboard, data)

    def hang_up(self) -> None:
        os.close(self.keyboard)
        self.keyboard = -1

    def leave(self) -> None:
        """Nobody reads standard output any more."""
        os.close(self.screen)
        self.screen = -1

    def run(self, script: Script, stdin: int | None = None, **wish: object) -> Exit:
        fds = (self.stdin if stdin is None else stdin, self.stdout, self.error_pipe)

        def play(peer: Peer) -> None:
            script(PlayedAgent(peer))

        with Signals() as signals, Peer(self.far, play):
            notices = WalltimeNotices(lambda: self.job, self.timeouts.walltime_interval)
            session = PipesSession(
                Conversation(self.link), Messages(self.said_to), signals, notices, self.timeouts, fds
            )
            return session.run(**({"command": "cat"} | wish))

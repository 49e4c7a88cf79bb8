"""A terminal session whose terminal and agent are played by the test."""

from __future__ import annotations

import os
from collections.abc import Callable

from medusa.client.launchers.base import JobState
from medusa.client.ledger import Ledger
from medusa.client.session.input.keyboard import HIGH_WATER
from medusa.client.session.input.user_input import UserInput
from medusa.client.session.remote.base import Remote
from medusa.client.session.remote.offered import OfferedRemote
from medusa.client.session.remote.plain import PlainRemote
from medusa.client.session.terminal_session import TerminalSession
from medusa.client.session.walltime import WalltimeNotices
from medusa.client.streams.conversation import Conversation
from medusa.client.terminal.signals import Signals
from medusa.client.terminal.tty import Terminal
from medusa.client.timeouts import Timeouts
from medusa.protocol.control import Exit, Start
from medusa.protocol.messages import Close
from tests.unit.client.peers import Desk, Peer
from tests.unit.client.streampeers import StreamPeer

START = Start("", "xterm", 80, 24, "/bin/bash", ("--norc",))


class Stage(Desk):
    """One session: what the test types goes in at one pipe, what is shown and said comes out of two others.

    Args:
        streams: True for an agent that accepts the offer of a stream.
    """

    def __init__(self, *, streams: bool) -> None:
        super().__init__()
        self.streams = streams
        self.job = JobState(alive=True, words="runs")
        self.timeouts = Timeouts()

    def type(self, data: bytes) -> None:
        os.write(self.keyboard, data)

    def hang_up(self) -> None:
        """The end of what is typed."""
        os.close(self.keyboard)
        self.keyboard = -1

    def shown(self) -> bytes:
        return os.read(self.screen, 1 << 20)

    def run(self, script: Callable[[Peer], None]) -> Exit:
        """A session whose agent follows `script` from the start message on."""

        def agent(peer: Peer) -> None:
            assert peer.hear(Start) == START
            script(peer)

        with Signals() as signals, Terminal(self.stdin, Ledger()) as terminal, self.peer(agent):
            notices = WalltimeNotices(lambda: self.job, self.timeouts.walltime_interval)
            console, info = self.console(terminal, signals), lambda: ["session 4711"]
            typed = UserInput(b"~", self.timeouts)
            remote = self.remote(console.messages.error)
            return TerminalSession(remote, console, typed, info, notices, self.timeouts).run()

    @property
    def bulk(self) -> int:
        """How many bytes the client takes if nobody reads what it shows: more than a pipe's 64 KiB."""
        return 96 * 1024 if self.streams else HIGH_WATER - 1

    def peer(self, script: Callable[[Peer], None]) -> Peer:
        return (StreamPeer if self.streams else Peer)(self.far, script)

    def remote(self, tell: Callable[[str], None]) -> Remote:
        if self.streams:
            return OfferedRemote(Conversation(self.link), START, tell)
        return PlainRemote(self.link, START, tell)


def goodbye(peer: Peer, end: Exit) -> None:
    """The agent's part of a good end: the client closes with `done`."""
    peer.say(end)
    assert peer.hear(Close) == Close(1000, "done")

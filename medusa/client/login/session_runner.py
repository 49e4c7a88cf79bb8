"""Runs the session after the agent has attached: in the user's terminal, on pipes, or without this mlogin."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from medusa.client.forwarding.forwarder import Forwarder
from medusa.client.login import words
from medusa.client.login.on_pipes import MakeSession, OnPipes
from medusa.client.login.wish import Wish
from medusa.client.outcome import GivenUp, SessionState, cut_off
from medusa.client.pipes.forward_sessions import session_for
from medusa.client.session.detaching.leaving import Leaving
from medusa.client.session.detaching.start import start_detached
from medusa.client.session.input.user_input import UserInput
from medusa.client.session.reconnect import Dialer
from medusa.client.session.remote.attached import AttachedRemote
from medusa.client.session.remote.base import Remote
from medusa.client.session.remote.needed import NeededStream
from medusa.client.session.remote.offered import remote_for
from medusa.client.session.terminal_session import TerminalSession
from medusa.client.session.walltime import WalltimeNotices
from medusa.client.settings import Settings
from medusa.client.streams.conversation import Conversation
from medusa.client.streams.lost_link.returning import Returning
from medusa.client.terminal.console import Console
from medusa.client.terminal.messages import Messages
from medusa.client.terminal.signals import Signals
from medusa.protocol.control import Exit
from medusa.transports.link import Link


class SessionRunner:
    """Runs one session. Call one of the methods `run` and `start_detached`, once.

    Args:
        state: the record in which the runner notes what becomes of the session.
        make: makes what takes the place of a command on pipes; None for such a command.
    """

    def __init__(
        self,
        settings: Settings,
        messages: Messages,
        wish: Wish,
        forwarder: Forwarder,
        state: SessionState,
        make: MakeSession | None,
    ) -> None:
        self._settings, self._messages, self._wish = settings, messages, wish
        self._timeouts = settings.timeouts
        self._forwarder, self._companion = forwarder, forwarder if settings.forwards else None
        self._state, self._make = state, make

    def start_detached(
        self, link: Link, keep: Callable[[], bool], dialer: Dialer, signals: Signals, returning: Returning
    ) -> None:
        """Starts the command in a terminal that goes on without mlogin, and prints how to attach to it.

        `keep`: makes the job go on after mlogin's end. It returns False if that is not possible.
        """
        conversation = Conversation(link, returning=returning)
        start_detached(conversation, self._wish.in_terminal(), keep, self._messages.error, signals)
        self._state.left = True
        print("\n".join(words.started(self._settings, dialer)))

    def run(
        self,
        link: Link,
        console: Console,
        notices: WalltimeNotices,
        typed: UserInput | None,
        info: Callable[[], Iterator[str]],
        leaving: Leaving,
        returning: Returning,
    ) -> Exit:
        """Runs the session, and returns how its command ended.

        Args:
            typed: what the user has typed so far; None for a command on pipes.
            info: makes the lines for the escape `~i`.

        Raises:
            Failure: the agent reported no end of the command. The text says why.
        """
        if typed is None:
            return self._on_pipes(link, console, notices, returning)
        return self._in_terminal(link, console, notices, typed, info, leaving, returning)

    def _on_pipes(self, link: Link, console: Console, notices: WalltimeNotices, returning: Returning) -> Exit:
        console.stdout.close()  # otherwise its reader would not find the end of the output before mlogin's own end
        conversation = Conversation(link, returning=returning, companion=self._companion)
        session: OnPipes
        if self._make is not None:
            session = self._make(conversation, self._messages, console.signals, self._timeouts)
        else:
            args = (conversation, self._messages, console.signals, notices, self._timeouts)
            session = session_for(self._settings, self._forwarder.idle, *args)
        try:
            return session.run(**self._wish.on_pipes())
        except GivenUp:
            self._state.left_to_guard = not session.answered
            raise
        finally:
            self._state.started = session.opened

    def _in_terminal(
        self,
        link: Link,
        console: Console,
        notices: WalltimeNotices,
        typed: UserInput,
        info: Callable[[], Iterator[str]],
        leaving: Leaving,
        returning: Returning,
    ) -> Exit:
        terminal = console.terminal
        self._state.started = True
        end = None
        with terminal:
            terminal.make_raw()
            self._messages.raw = terminal.raw
            session = TerminalSession(self._remote(link, returning), console, typed, info, notices, self._timeouts)
            session.leaving = leaving
            try:
                end = session.run()
            except GivenUp:
                self._state.left_to_guard = not session.answered
                raise
            finally:
                self._messages.raw = False
                if end is None or cut_off(end):
                    console.stdout.undo_modes(self._timeouts.undo_timeout)
        return end

    def _remote(self, link: Link, returning: Returning) -> Remote:
        start, tell, attach = self._wish.in_terminal(), self._messages.error, self._settings.attach
        if attach is None:
            return remote_for(link, start, tell, returning, self._companion)
        conversation = Conversation(link, returning=returning, companion=self._companion)
        return NeededStream(conversation, AttachedRemote(conversation, start, attach, tell), tell)

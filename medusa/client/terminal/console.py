"""Holds together what a session needs on the user's side: standard input, output and error, and the signals."""

from __future__ import annotations

from medusa.client.terminal.messages import Messages
from medusa.client.terminal.signals import Signals
from medusa.client.terminal.stdout import Stdout
from medusa.client.terminal.tty import Terminal
from medusa.protocol.record import record


@record(frozen=False)
class Console:
    """Holds the objects of the user's side of a session.

    Attributes:
        terminal: standard input, also if it is a pipe or a file.
        stdout: standard output, for the bytes of the session.
        messages: standard error, for the words of mlogin.
        signals: the signals that mlogin receives.
    """

    terminal: Terminal
    stdout: Stdout
    messages: Messages
    signals: Signals

"""The user's side of a session: standard input, output and error, and the terminal's signals."""

from __future__ import annotations

from dataclasses import dataclass

from medusa.client.terminal.messages import Messages
from medusa.client.terminal.signals import Signals
from medusa.client.terminal.stdout import Stdout
from medusa.client.terminal.tty import Terminal


@dataclass
class Console:
    """Attributes:
    terminal: standard input, whether it is a terminal or not.
    messages: standard error.
    """

    terminal: Terminal
    stdout: Stdout
    messages: Messages
    signals: Signals

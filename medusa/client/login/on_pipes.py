"""What uses the conversation with the agent if there is no terminal: a command on pipes, or a program of channels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from medusa.client.streams.conversation import Conversation
from medusa.client.terminal.messages import Messages
from medusa.client.terminal.signals import Signals
from medusa.client.timeouts import Timeouts
from medusa.protocol.control import Exit


class OnPipes(Protocol):
    """What uses the conversation with the agent if mlogin uses no terminal: PipesSession, or what takes its place.

    Attributes:
        opened: True if the agent may have started something.
        answered: False if the reflector did not answer mlogin's Close message, so that the link counts as dead.
    """

    answered: bool

    @property
    def opened(self) -> bool: ...

    def run(self, **wish: object) -> Exit:
        """Runs a command that `wish` describes, or something else. Raises Failure and Interrupted."""


MakeSession = Callable[[Conversation, Messages, Signals, Timeouts], OnPipes]
"""Makes what takes the place of PipesSession."""

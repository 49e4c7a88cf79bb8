"""What all streams of an agent share: memory, the number of terminals."""

from __future__ import annotations

from typing import Callable, Optional

from medusa.protocol.resume.budget import Budget

MAX_MEMORY = 48 * 1024 * 1024
"""The limit of the bytes that all streams of an agent together hold, or have allowed their clients to send."""

MAX_TERMINALS = 16
"""The maximum number of open terminals in all streams of an agent together."""


class Shared:
    """What all streams of an agent share.

    Args:
        preface: bytes that the user of the first terminal is shown before any output.
        greet: a function that returns bytes that the user of each terminal is shown, in the place of `preface`.

    Attributes:
        memory: counts the bytes that all streams hold, or have allowed their clients to send, and limits them.
        terminals: the number of terminals that are open.
        exits: the number of commands on terminals that have ended by themselves.
    """

    def __init__(self, preface: bytes = b"", greet: Optional[Callable[[], bytes]] = None) -> None:
        self.memory = Budget(MAX_MEMORY)
        self.terminals = 0
        self.exits = 0
        self._preface, self._greet = preface, greet

    def take_preface(self) -> bytes:
        """Returns what the user of one more terminal is shown before any output."""
        if self._greet is not None:
            return self._greet()
        preface, self._preface = self._preface, b""
        return preface

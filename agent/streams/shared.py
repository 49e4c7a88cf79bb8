"""Holds what all streams of an agent share: memory, the terminals, and the lookups of names."""

from __future__ import annotations

from typing import Callable, List, Optional

from agent.terminals.registry import Terminals
from medusa.protocol.resume.budget import Budget
from medusa.transports.forwarding.lookups import Lookups

MAX_MEMORY = 48 * 1024 * 1024
"""The limit of the bytes that all streams and terminals of an agent together hold, or have allowed clients to send."""


class Shared:
    """Holds what all streams of an agent share.

    Args:
        preface: bytes that the user of the first terminal is shown before any output.
        greet: a function that returns bytes that the user of each terminal is shown first, in place of `preface`.

    Attributes:
        memory: counts the bytes that all streams hold, or have allowed their clients to send, and limits them.
        terminals: the terminals, which may outlive the streams.
        lookups: looks up the names of the targets of forwarded connections.
        exits: the number of commands on terminals that have ended by themselves. `terminals` counts those of clients
            with streams, so they are not counted here.
        calm: False if something other than input and output has happened since the loop has set it to True.
        parked: a function that returns for each stream without a link the time until which it is kept.
    """

    def __init__(self, preface: bytes = b"", greet: Optional[Callable[[], bytes]] = None) -> None:
        self.memory = Budget(MAX_MEMORY)
        self.terminals = Terminals(self.memory)
        self.lookups = Lookups()
        self.exits = 0
        self.calm = False
        self.parked: Callable[[], List[float]] = list
        self._preface, self._greet = preface, greet

    def take_preface(self) -> bytes:
        """Returns the bytes to show the user of a new terminal before any output. Call it once for each terminal."""
        if self._greet is not None:
            return self._greet()
        preface, self._preface = self._preface, b""
        return preface

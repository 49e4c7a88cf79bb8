"""What all streams of an agent share: memory, the number of terminals."""

from __future__ import annotations

from medusa.protocol.resume.budget import Budget

MAX_MEMORY = 48 * 1024 * 1024
"""The limit of the bytes that all streams of an agent together hold, or have allowed their clients to send."""

MAX_TERMINALS = 16
"""The maximum number of open terminals in all streams of an agent together."""


class Shared:
    """What all streams of an agent share.

    Args:
        preface: bytes that the user of the first terminal is shown before any output.

    Attributes:
        memory: counts the bytes that all streams hold, or have allowed their clients to send, and limits them.
        terminals: the number of terminals that are open.
    """

    def __init__(self, preface: bytes = b"") -> None:
        self.memory = Budget(MAX_MEMORY)
        self.terminals = 0
        self._preface = preface

    def take_preface(self) -> bytes:
        """Returns the preface at the first call, and b"" at later calls."""
        preface, self._preface = self._preface, b""
        return preface

"""What all streams of an agent share: memory, the number of terminals."""

from __future__ import annotations

from medusa.protocol.resume.budget import Budget

MAX_MEMORY = 48 * 1024 * 1024
"""The limit of the bytes that all streams together keep, or have allowed their peers to send."""

MAX_TERMINALS = 16
"""The limit of terminals of all streams together."""


class Shared:
    """What all streams of an agent share.

    Args:
        preface: bytes that the user of the first terminal is shown before any output.

    Attributes:
        memory: the limit of what all streams keep, and of the windows that they grant.
        terminals: the number of terminals that are open.
    """

    def __init__(self, preface: bytes = b"") -> None:
        self.memory = Budget(MAX_MEMORY)
        self.terminals = 0
        self._preface = preface

    def take_preface(self) -> bytes:
        """Returns the preface at the first call, later nothing."""
        preface, self._preface = self._preface, b""
        return preface

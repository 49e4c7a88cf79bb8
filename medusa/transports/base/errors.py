"""The errors of a link that has ended."""

from __future__ import annotations

from typing import Optional

from medusa.protocol.messages import Close


class ClosedTransport(Exception):
    """Raised if the link has already ended: the peer sent a Close, or this end closed it.

    Attributes:
        close: the peer's Close; None if the peer sent none.
    """

    def __init__(self, close: Optional[Close]) -> None:
        super().__init__("the link is closed")
        self.close = close


class BrokenTransport(Exception):
    """Raised if the link was lost: its stream ended or failed before the peer sent a Close."""

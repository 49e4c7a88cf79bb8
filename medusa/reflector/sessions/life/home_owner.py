"""What a home link needs of the session that it belongs to."""

from __future__ import annotations

from typing import Protocol

from medusa.protocol.http.about import About
from medusa.reflector.session_name import SessionName
from medusa.reflector.sessions.pair.usage import Usage
from medusa.session import Side


class HomeOwner(Protocol):
    """The interface of the session that a home link belongs to: the attributes and methods that Home uses."""

    name: SessionName
    linked_at: float | None
    usage: Usage

    @property
    def legs(self) -> int:
        """The number of pairs (a client and its agent) that live."""

    def describe(self, side: Side, about: About) -> None:
        """Notes `about`, the description that the peer at `side` has given of itself."""

    def call_clients(self) -> None:
        """Asks the agent to make one more connection for each client that waits."""

    def call_nobody(self) -> None:
        """Lets the clients go on waiting, and stops asking the agent to connect for them, because it is away."""

    def hold_ended(self) -> None:
        """Notes that the agent does not hold the session any more. If the session has no pair, ends it."""

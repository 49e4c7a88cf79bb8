"""Holds the two connections of one pair, and counts what has passed between them."""

from __future__ import annotations

import time

from medusa.protocol.messages import Close
from medusa.reflector.relay.endpoint.endpoint import Endpoint
from medusa.session import Side

OVER = Close(1000, "the session is over")


class Sides(dict[Side, Endpoint]):
    """A dict of the connections of one pair, by side. A side is missing until its peer has been let in."""

    __slots__ = ()

    @property
    def links(self) -> int:
        """The number of connections that are not closed, even if their peer has ended its stream."""
        return sum(not endpoint.released for endpoint in self.values())

    @property
    def addresses(self) -> dict[str, str]:
        """The addresses of the peers that have been let in, keyed by "client" and "agent"."""
        return {side.value: endpoint.address for side, endpoint in self.items()}

    @property
    def active(self) -> float:
        """The time.monotonic() at which terminal input or output has last passed.

        If none has passed yet: the time at which the last peer was let in.
        """
        return max((endpoint.active for endpoint in self.values()), default=time.monotonic())

    def counts(self) -> dict[str, int]:
        """Returns how many messages and payload bytes each side has sent to the other.

        The keys are client_messages, client_bytes, agent_messages and agent_bytes. If the other side could not receive
        some text messages, client_left_out or agent_left_out is their number.
        """
        counts: dict[str, int] = {}
        for side in Side:
            pump = self[side].pump if side in self else None
            counts["%s_messages" % side.value] = pump.messages if pump else 0
            counts["%s_bytes" % side.value] = pump.size if pump else 0
            if pump and pump.left_out_count:
                counts["%s_left_out" % side.value] = pump.left_out_count
        return counts

    def terminal_bytes(self) -> dict[str, int]:
        """Returns the number of bytes of terminal input (key typed_bytes) and of terminal output (key shown_bytes)."""
        sizes = [self[side].pump.terminal if side in self else 0 for side in (Side.CLIENT, Side.AGENT)]
        return dict(zip(("typed_bytes", "shown_bytes"), sizes, strict=True))

    def close(self, side: Side, close: Close) -> None:
        """Stops forwarding from the peer at `side`, and sends it the Close `close` if its connection is still open."""
        endpoint = self[side]
        endpoint.detach()
        if endpoint.open:
            endpoint.close(close)

    def dismiss(self) -> None:
        """Closes all connections now."""
        for endpoint in self.values():
            endpoint.dismiss(OVER)

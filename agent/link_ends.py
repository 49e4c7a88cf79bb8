"""Decides, after a link has ended, whether the agent dials again and whether the client's stream is kept. No I/O."""

from __future__ import annotations

from medusa.protocol.messages import Close
from medusa.transports.link import LinkLost, Loss

OVER = 1000
"""The code of a Close after which the agent does not come back: the session is over."""

BREACHES = (1002, 1007, 1008, 1009)
"""The codes of a Close that says that this end has broken a rule. The agent does not come back either."""

REPLACED = "replaced"
"""The reason of a Close to an older home link of the same agent.

If the present link is sent it, an earlier attempt to dial, which the agent had given up, has come in late.
"""

TAKEN_OVER = "taken over"
"""The reason of the agent's Close if the client's stream goes on over another link."""

CLIENT_LOST = "remote connection reset"
"""The reason of the reflector's Close if the client's link was lost."""

FINAL_REASONS = ("done", TAKEN_OVER, "the remote side broke the protocol")
"""The reasons of a Close after which the client does not come back to its stream."""


def session_over(close: Close) -> bool:
    """True if this Close, which came on the home link, ends the session. If False, the agent dials again."""
    return (close.code == OVER and close.reason != REPLACED) or close.code in BREACHES


def comes_back(lost: LinkLost) -> bool:
    """True if a client may come back to its stream after its link has ended. `lost` says how the link has ended."""
    if lost.loss is not Loss.CLOSED:
        return lost.loss is not Loss.ILLEGAL
    return lost.code not in BREACHES and lost.detail not in FINAL_REASONS


def describe(lost: LinkLost, limit: float = 0) -> str:
    """Returns a text for the log about the end of a link.

    Args:
        lost: the end of the link.
        limit: the number of seconds of silence after which the link is lost.
    """
    if lost.loss is Loss.CLOSED:
        return "closed: %s" % lost.detail if lost.detail else "closed"
    if lost.loss is Loss.SILENT:
        return "link lost: silent for %d s" % limit
    return ("link lost: %s" if lost.loss is Loss.BROKEN else "the peer broke the protocol: %s") % lost.detail

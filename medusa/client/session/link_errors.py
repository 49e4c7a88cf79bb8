"""Why the link to the reflector ended, in words for the user."""

from __future__ import annotations

from medusa.protocol.messages import Close
from medusa.protocol.printable import printable
from medusa.transports.link import LinkLost, Loss

_TEXTS = {
    Loss.CLOSED: "the reflector closed the session ({})",
    Loss.BROKEN: "the link to the reflector is lost ({})",
    Loss.ILLEGAL: "the reflector sent something illegal ({})",
    Loss.SILENT: "the reflector does not answer any more",
}


def describe(lost: LinkLost) -> str:
    """One line, safe to show."""
    return _TEXTS[lost.loss].format(printable(lost.detail) or "no reason given")


def describe_close(close: Close) -> str:
    """The same for a Close that was received."""
    return describe(LinkLost(Loss.CLOSED, close.reason))

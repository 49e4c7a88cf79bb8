"""Makes the lines that tell the user why the link to the reflector ended."""

from __future__ import annotations

from medusa.client.streams.lost_link.redial import NoReturn
from medusa.protocol.messages import Close
from medusa.protocol.printable import printable
from medusa.transports.link import LinkLost, Loss

MAX_NOTICE = 1024
"""The maximum number of characters that are shown of a text from the agent or the reflector."""

_TEXTS = {
    Loss.CLOSED: "the reflector closed the session ({})",
    Loss.BROKEN: "the link to the reflector is lost ({})",
    Loss.ILLEGAL: "the reflector sent something illegal ({})",
    Loss.SILENT: "the reflector does not answer any more",
}


def describe(lost: LinkLost) -> str:
    """Returns one line that says why the link ended, with unprintable characters escaped."""
    if isinstance(lost, NoReturn):
        return lost.detail
    return _TEXTS[lost.loss].format(printable(lost.detail) or "no reason given")


def describe_close(close: Close) -> str:
    """Returns one line about the Close message that the reflector sent, with unprintable characters escaped."""
    return describe(LinkLost(Loss.CLOSED, close.reason))

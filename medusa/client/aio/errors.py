"""The errors of channels, for programs made of coroutines."""

from __future__ import annotations

from medusa.client.session.ending import MAX_WORDS
from medusa.protocol.channels.frames import Reason
from medusa.protocol.printable import printable


class ChannelError(Exception):
    """A channel cannot be used. The text is for the user; it has no unprintable characters.

    Attributes:
        code: the code of the reason, such as `limit`; "" if there is none.
    """

    def __init__(self, reason: Reason) -> None:
        super().__init__(printable(reason.words or reason.code, MAX_WORDS) or "no reason given")
        self.code = reason.code


class ChannelRefused(ChannelError):
    """The agent has refused to open the channel, or no more channels can be opened."""


class ChannelClosed(ChannelError):
    """The channel has ended before its time: the agent has closed it, or the conversation is over."""


class ChannelStopped(ChannelError):
    """The agent takes no more bytes of this sub. The rest of the channel goes on."""

"""What a message of the link has brought: events of the stream, a control message, or output of a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from medusa.protocol.channels.channel import Event
from medusa.protocol.control import Control


class Arrived(NamedTuple):
    """Holds what one message has brought. All fields are empty for a message that means nothing at this time.

    Attributes:
        events: what has happened in the stream. Before you receive the next message, take the bytes that the channels'
            readers hold. Bytes that are left there are copied, which takes time.
        control: the control message, if the message is one. An agent that accepts the stream sends one StreamAnswer.
            After that, control messages are only Notices of the reflector. An agent without streams sends other ones.
        output: output of the terminal, from an agent that has not accepted the stream.
    """

    events: Sequence[Event] = ()
    control: Control | None = None
    output: bytes = b""


NOTHING = Arrived()


def arrivals(receive: Callable[[], Arrived | None], send: Callable[[], None], most: int) -> Iterator[Arrived]:
    """Receives up to `most` messages of a conversation, and yields what each has brought.

    After each message it calls `send`: what the caller has taken lets the agent send more, while the next message is
    processed here. Otherwise the two ends would wait for each other in turns.

    Args:
        receive, send: the conversation's methods. What they raise is raised here.
    """
    for _ in range(most):
        if (arrived := receive()) is None:
            return
        yield arrived
        send()

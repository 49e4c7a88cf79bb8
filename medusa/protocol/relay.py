"""The code that the relays of all framings share. No I/O.

A relay turns the bytes that arrive on one link into the bytes to write to another link, without making Message objects
of them. Each framing has its relay, in websocket/relay.py or raw/relay.py. Only the reflector uses relays, so the
archive that agents run from has none.
"""

from __future__ import annotations

from typing import Callable, List, NamedTuple, Optional

from medusa.protocol.control import REFLECTOR_PREFIX
from medusa.protocol.errors import PolicyViolation, RemoteProtocolError
from medusa.protocol.messages import Close, Kind, Ping
from medusa.protocol.websocket.masking import Buffer

FORGED = REFLECTOR_PREFIX.encode("ascii")
"""The first bytes of a text message that only the reflector may send. From a peer, such a message is forged."""


class Framing(NamedTuple):
    """Says how a relay has to frame data messages for a link that it writes to.

    Attributes:
        kind: the framing's name. The raw relays pass frames unchanged to a link of the same kind.
        header: a function that takes the kind of message and the payload length in bytes, and returns the frame header.
        carries_text: True if the link can carry text messages. If not, a relay drops them.
        in_place: True if frames from a websocket client can be rewritten to this framing inside the read buffer.
    """

    kind: str
    header: Callable[[Kind, int], bytes]
    carries_text: bool = True
    in_place: bool = False


class Unfinished(NamedTuple):
    """A message that has begun to arrive, and that is not whole yet.

    Attributes:
        number: a number that tells the messages of one link apart. It stays the same while the message is unfinished.
        arrived: a counter that grows by 1 with each byte of the message that comes. It does not begin at 0 for every
            message, so only the difference of two values means something.
    """

    number: int
    arrived: int


class Relayed:
    """The result of one call of a relay's `feed`.

    Attributes:
        pieces: the bytes to write to the other link, in this order. Write them before you handle the other attributes.
            They may be views of the input buffer, so they are valid until the buffer is used again.
        messages: the number of messages that end in `pieces`.
        size: the number of payload bytes in `pieces`.
        text: how many of these payload bytes belong to text messages. (The rest is terminal input or output.)
        boundary: the offset in `pieces` at which the last large frame begins. (A large frame is forwarded piece by
            piece.) None if no large frame begins in `pieces`. If `pieces` end inside that frame, the caller can insert
            a control frame at this offset, but cannot send one after `pieces`.
        left_out: the text messages that were dropped because the other link cannot carry text. An empty item stands for
            a text of more than 64 KiB.
        held: the bytes of memory that unfinished input needs: the fragments kept so far, and the whole size of a small
            frame of which only a part has come.
        slow_frames: the number of frames that were handled one by one in Python, not by the fast loops. Each such frame
            takes some microseconds, even if it is empty.
        pings: the pings to answer. RFC 6455 section 5.5.3 asks only for an answer to the last of them, but the test
            suite Autobahn expects an answer to each ping.
        close: the peer's Close, if it has sent one, else None.
        error: the error if the peer broke the rules, else None. All input after the broken rule was ignored.
    """

    # Class attributes: most results of a read set few of them.
    messages = size = text = held = slow_frames = 0
    boundary: Optional[int] = None
    close: Optional[Close] = None
    error: Optional[RemoteProtocolError] = None

    def __init__(self) -> None:
        self.pieces: List[Buffer] = []
        self.left_out: List[bytes] = []
        self.pings: List[Ping] = []

    @property
    def written(self) -> int:
        """The number of bytes in `pieces`."""
        return sum(map(len, self.pieces))


def may_pass(payload: bytes) -> bool:
    """Returns True if a text message with this payload may be forwarded.

    The payload must be UTF-8, and must not begin with the prefix of the reflector's own messages (FORGED).
    """
    try:
        payload.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return not payload.startswith(FORGED)


def refuse_forged(payload: Buffer) -> None:
    """Raises PolicyViolation if the payload of a text message begins with the prefix of the reflector's own messages.

    FORGED is this prefix. A peer must not send it.
    """
    if bytes(payload[: len(FORGED)]) == FORGED:
        raise PolicyViolation("text with the reflector's own prefix")

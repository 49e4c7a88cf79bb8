"""What the relays of all framings share: the framing they write in, their result, and which text may pass. No I/O.

A relay reads the bytes of one link and gives the bytes for the other, without making messages of them. Each framing has
one: websocket/relay.py and raw/relay.py. Does not travel with the agent.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Callable, List, NamedTuple, Optional

from medusa.protocol.control import REFLECTOR_PREFIX
from medusa.protocol.errors import PolicyViolation, RemoteProtocolError
from medusa.protocol.messages import Close, Kind, Ping
from medusa.protocol.websocket.masking import Buffer

FORGED = REFLECTOR_PREFIX.encode("ascii")
"""The first bytes of texts that only the reflector may send."""


class Framing(NamedTuple):
    """How data is framed on the link that is written to.

    Attributes:
        kind: the framing's name; a link of the same kind can be given frames as they are.
        header: (kind of message, payload length in bytes) -> the header of a whole data frame.
        carries_text: whether a text message has a place on the link; if not, it is left out.
        in_place: whether a websocket client's frames can be rewritten for it in the buffer that they arrived in.
    """

    kind: str
    header: Callable[[Kind, int], bytes]
    carries_text: bool = True
    in_place: bool = False


@dataclass
class Relayed:
    """What a relay made of one piece of input.

    Attributes:
        pieces: bytes to write to the other link, in this order and before anything below is acted on. They may lie in
            the buffer that was given, and are good until that is used again.
        messages: number of whole messages that ended in `pieces`.
        size: payload bytes in `pieces`.
        text: those of them that belong to text messages, which no terminal gets.
        boundary: number of bytes in `pieces` before the last frame that is let out as it arrives, None if there is no
            such frame. A control frame may go there if `pieces` end inside that frame.
        left_out: text messages that the other link cannot carry; an empty one stands for a text above 64 KiB.
        slow_frames: number of frames that were handled one by one: each costs some microseconds, however small it is.
        pings: to be answered. Answering the last would do (RFC 6455 section 5.5.3), but Autobahn counts all.
        close: the peer's Close.
        error: the peer broke the rules; nothing after that is read.
    """

    pieces: List[Buffer] = field(default_factory=list)
    messages: int = 0
    size: int = 0
    text: int = 0
    boundary: Optional[int] = None
    left_out: List[bytes] = field(default_factory=list)
    slow_frames: int = 0
    pings: List[Ping] = field(default_factory=list)
    close: Optional[Close] = None
    error: Optional[RemoteProtocolError] = None

    @property
    def written(self) -> int:
        """Bytes in `pieces`."""
        return sum(map(len, self.pieces))


def may_pass(payload: bytes) -> bool:
    """Whether the payload of a whole text message may be forwarded: it is UTF-8 and not forged."""
    try:
        payload.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return not payload.startswith(FORGED)


def refuse_forged(payload: Buffer) -> None:
    """Raises PolicyViolation if a text's payload begins with what only the reflector may send."""
    if bytes(payload[: len(FORGED)]) == FORGED:
        raise PolicyViolation("text with the reflector's own prefix")

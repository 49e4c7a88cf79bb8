"""What a reflector adds to a link: frames move to another link without messages being made of them. Does not travel."""

from __future__ import annotations

from typing import Any, Optional, Sequence

from medusa.protocol.errors import LocalProtocolError
from medusa.protocol.messages import STREAM_ABOVE, Close
from medusa.protocol.relay import Framing, Relayed
from medusa.transports.base import Transport
from medusa.transports.interfaces import Codec, Relay, Stream

MOST_HELD = STREAM_ABOVE + 16
"""Bytes of an unfinished frame that a relay keeps: one that is not let out as it arrives, and its header."""

RELAY_START = 4 * 1024
RELAY_MOST = 256 * 1024
SLOW_FRAMES = 128
"""Relay reads begin small, in bytes, double up to RELAY_MOST, and begin anew after one with more slow frames than this:
256 KiB of empty pings would take a fifth of a second from all the other sessions on the loop."""


def new_scratch() -> memoryview:
    """A buffer for the reads of any number of links that are read one after another."""
    return memoryview(bytearray(MOST_HELD + RELAY_MOST))


class RelayedTransport(Transport):
    """A transport whose frames can be moved to another one.

    Attributes:
        framing: how data is framed on this link, for the relay that reads the other one.
        plain: the link has no frames: it carries neither text nor pings, and each direction ends alone, by a FIN.
        last_read: bytes that the last `relay_read` got from the stream.
        costly: it held more than SLOW_FRAMES slow frames: few bytes, but much work.

    Args:
        scratch: the buffer to read into, shared with other links of one event loop; by default each read has a buffer
            of its own.
        end_is_close: as Transport's.
    """

    def __init__(
        self,
        stream: Stream,
        codec: Codec,
        relay: Relay,
        leftover: bytes = b"",
        scratch: Optional[memoryview] = None,
        end_is_close: Optional[Close] = None,
    ) -> None:
        super().__init__(stream, codec, leftover, end_is_close)
        self._relay = relay
        self._scratch = scratch
        self._relay_size = RELAY_START
        self.framing: Framing = relay.framing
        self.plain = not self.framing.carries_text
        self.last_read = 0
        self.costly = False

    def relay_read(self, framing: Framing) -> Optional[Relayed]:
        """What has arrived, framed for another link by its `framing`; None if nothing is there now.

        Pings, a Close and broken rules are answered here as in `receive_nowait`, and reported. The pieces are good
        until the scratch buffer is used again.

        Raises:
            ClosedTransport, BrokenTransport: as `receive_nowait`.
        """
        if self._ended is not None or self._peer_close is not None:
            self._raise_if_ended()
        data = self._read_in_place()
        if data is None:
            return None
        relayed = self._relay.feed(data, framing)
        self.costly = relayed.slow_frames > SLOW_FRAMES
        if self.costly:
            self._relay_size = RELAY_START
        elif self._relay_size < RELAY_MOST:
            self._relay_size *= 2
        if relayed.pings:
            self._answer_pings(relayed.pings)
        if relayed.close is not None:
            self._answer(relayed.close)
        if relayed.error is not None:
            self._try_control(Close(relayed.error.close_code, str(relayed.error)))
        return relayed

    @property
    def reading_mid_frame(self) -> bool:
        """Whether `relay_read` has let out part of a frame."""
        return self._relay.mid_frame

    def skip_message(self) -> None:
        """Drop the message that is arriving, if any, from what `relay_read` gives."""
        self._relay.skip_message()

    def relay_write(self, pieces: Sequence[Any], mid_frame: bool, boundary: Optional[int] = None) -> bool:
        """Write frames that were made with this link's `framing`. Returns and raises what `send_nowait` does.

        Args:
            mid_frame: the last frame is not whole yet.
            boundary: a frame begins after this many bytes of `pieces`, see `Relayed.boundary`.
        """
        self._raise_if_unwritable()
        if self._out:
            raise LocalProtocolError("data before the last was flushed")
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if self._held and boundary is not None:
            # Between large frames that follow one another there is no other moment for a pong.
            data = b"".join((data[:boundary], self._take_held(), data[boundary:]))
        self._mid_frame = mid_frame and not self.plain
        taken = self._write(data) if data else 0
        if taken < len(data):
            self._out += memoryview(data)[taken:]
        return self.flush() if self._out or self._held else True

    def _read_in_place(self) -> Any:
        self.last_read = 0
        if self._leftover:
            return self._recv()
        relay, held = self._relay, self._relay.held
        size = held + self._relay_size
        buffer = memoryview(bytearray(size)) if self._scratch is None else self._scratch[:size]
        try:
            taken = self._stream.recv_into(buffer[held:])
        except BlockingIOError:
            return None
        except OSError as error:
            raise self._broken(error) from None
        if not taken:
            raise self._broken(None)
        self.received += taken
        self.last_read = taken
        return buffer[relay.put_back(buffer, held + taken) : held + taken]

"""A transport that can also forward frames to another transport, for the reflector. Not in the agent's archive."""

from __future__ import annotations

from typing import Any, Optional, Sequence

from medusa.protocol.errors import LocalProtocolError, MessageTooBig, RemoteProtocolError
from medusa.protocol.messages import STREAM_ABOVE, Close, Text
from medusa.protocol.relay import Framing, Relayed, Unfinished
from medusa.transports.base import Transport
from medusa.transports.interfaces import Codec, Relay, Share, Stream
from medusa.transports.tls import CHUNK, TlsStream

HEADER_SIZE = 16
"""The maximum length of the header of a frame, in bytes."""

MOST_HELD = STREAM_ABOVE + HEADER_SIZE
"""The most bytes of an unfinished frame that a relay keeps: a header and STREAM_ABOVE bytes of payload.

A larger frame is not kept, but forwarded piece by piece.
"""

RELAY_START = 4 * 1024
RELAY_MOST = 256 * 1024
SLOW_FRAMES = 128
"""RELAY_START, RELAY_MOST and SLOW_FRAMES limit the size of one read of `relay_read`.

The first read has at most RELAY_START bytes. The limit doubles after each read, up to RELAY_MOST bytes. After a read
with more than SLOW_FRAMES slow frames (see `Relayed.slow_frames`), the limit is RELAY_START again. Otherwise 256 KiB of
empty pings would stop all other sessions on the event loop for a fifth of a second.
"""


UNCOUNTED = RELAY_START
"""The number of bytes that each link may hold in each direction without counting them in its `share`.

A share is an account that limits the memory of a group of links. While it is tight (nearly used up), each link holds
little more than these bytes. So typing and pagers work even when the share is used up.
"""


MOST_ANNOUNCED = 4096
"""The most bytes of text messages that may wait to be sent on one link; see RelayedTransport.queues_texts."""


class Unlimited:
    """A share (an account of held memory) without a limit, for transports whose `share` was not set."""

    tight = False

    def take(self, size: int) -> str:
        """Returns "", which means that `size` more bytes may be held."""
        return ""

    def add(self, size: int) -> None:
        """Does nothing, because without a limit nothing has to be counted."""


UNLIMITED = Unlimited()


def new_scratch() -> memoryview:
    """Returns a read buffer for RelayedTransport. Transports may share it if they are read one after another."""
    return memoryview(bytearray(MOST_HELD + RELAY_MOST))


class RelayedTransport(Transport):
    """A transport that can also forward its frames to another RelayedTransport.

    To forward, pass the result of this transport's `relay_read` to the other transport's `relay_write`.

    Attributes:
        framing: how data for this link has to be framed. The relay of the opposite direction uses it.
        plain: True if the link has no frames. Then it carries neither texts nor pings, and its two directions end
            separately, each by a FIN.
        last_read: the number of bytes that the last `relay_read` got from the stream.
        share: the account of memory in which the bytes that this transport holds are counted (see interfaces.Share).
            Set it before the first `relay_read`.
        costly: True if the caller should let other links run before it calls `relay_read` again. There are two cases.
            The last `relay_read` handled more than SLOW_FRAMES slow frames, which take long. Or `share` was tight
            (short of memory), and the last `relay_read` filled its buffer of RELAY_START bytes: then more bytes may
            wait.
        queues_texts: True if texts of `announce` wait in a queue; a text is dropped if too many wait. If False, only
            the last text waits: it replaces the earlier one.

    Args:
        relay: the relay that reads from this link.
        leftover, end_is_close: see Transport.
        scratch: the read buffer (see `new_scratch`), shared with other transports on the same event loop. By default,
            each read has a buffer of its own.
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
        self.queues_texts = False
        self.share: Share = UNLIMITED
        self._tight = False
        self._granted = UNCOUNTED  # bytes of an unfinished message that the relay may hold
        self._waiting = 0  # counted bytes that wait until the kernel takes them

    def relay_read(self, framing: Framing) -> Optional[Relayed]:
        """Reads bytes that have arrived, and returns them framed for another link, which has the framing `framing`.

        Returns None if nothing has arrived. The pieces in the result are valid until the scratch buffer is used again.

        Like `receive_nowait`, this method itself answers pings and a Close, and sends a Close if the peer broke the
        rules. The result holds the pings, the Close and the error.

        Raises:
            ClosedTransport, BrokenTransport: see `receive_nowait`.
        """
        if self._ended is not None or self._peer_close is not None:
            self._raise_if_ended()
        if self.share.tight is not self._tight:
            self._adapt(self.share.tight)
        data = self._read_in_place()
        if data is None:
            return None
        relayed = self._relay.feed(data, framing)
        held, granted = relayed.held, self._granted
        if held > granted or (granted > UNCOUNTED and (not held or held + STREAM_ABOVE < granted)):
            self._grant(held, relayed)
        self.costly = relayed.slow_frames > SLOW_FRAMES
        if self.costly or self._tight:
            self._relay_size = RELAY_START
            self.costly |= self.last_read >= RELAY_START
        elif self._relay_size < RELAY_MOST:
            self._relay_size *= 2
        if relayed.pings:
            self._answer_pings(relayed.pings)
        if relayed.close is not None:
            self._answer(relayed.close)
            self._stop_relay()
        if relayed.error is not None:
            self.refuse(relayed.error)
        return relayed

    def refuse(self, error: RemoteProtocolError) -> None:
        """Sends the peer a Close with the code and text of `error`. Drops the peer's unfinished message."""
        self._try_control(Close(error.close_code, str(error)))
        self._stop_relay()

    @property
    def unfinished(self) -> Optional[Unfinished]:
        """The message that has begun to arrive and is not whole yet. None if there is none."""
        return self._relay.unfinished

    @property
    def reading_mid_frame(self) -> bool:
        """True if `relay_read` has returned a part of a frame, and the rest has not come yet."""
        return self._relay.mid_frame

    def skip_message(self) -> None:
        """Drops the message that is arriving, if there is one: `relay_read` returns no more of it."""
        self._relay.skip_message()
        if self._granted > UNCOUNTED:
            self._settle_grant(self._relay.held)

    def flush(self) -> bool:
        """Writes waiting bytes, see `Transport.flush`. Then counts in `share` the bytes that still wait."""
        try:
            return super().flush()
        finally:
            if self._out or self._waiting:
                self._count_waiting()

    def announce(self, text: str) -> bool:
        """Sends a short text message, see `Transport.announce`. See also the attribute `queues_texts`."""
        if not self.queues_texts:
            return super().announce(text)
        self._raise_if_unwritable()
        texts = self._held.get(Text, b"") + self._codec.frame(Text(text))
        if len(texts) <= MOST_ANNOUNCED:
            self._held[Text] = texts
        return self.flush()

    def abort(self) -> None:
        """Closes the connection at once, see `Transport.abort`. Drops all held bytes."""
        super().abort()
        self._stop_relay()
        self._count_waiting()

    def relay_write(self, pieces: Sequence[Any], mid_frame: bool, boundary: Optional[int] = None) -> bool:
        """Accepts frames that another relay has made for this link, and writes as much as the kernel takes now.

        Returns True if nothing is left to write.

        Args:
            pieces: the bytes of the frames, see `Relayed.pieces`.
            mid_frame: True if `pieces` end inside a frame.
            boundary: the offset in `pieces` at which the last large frame begins, see `Relayed.boundary`.

        Raises:
            LocalProtocolError: earlier bytes still wait. Wait until the stream is writable, and call `flush` first.
            ClosedTransport, BrokenTransport: see `send_nowait`.
        """
        self._raise_if_unwritable()
        if self._out:
            raise LocalProtocolError("data before the last was flushed")
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if self._held and boundary is not None:
            # If one large frame follows another, a pong can only be sent between the two.
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
            taken = self._stream.recv_into(buffer[held:] if held else buffer)
        except BlockingIOError:
            return None
        except OSError as error:
            raise self._broken(error) from None
        if not taken:
            raise self._broken(None)
        self.received += taken
        self.last_read = taken
        return buffer[relay.put_back(buffer, held + taken) : held + taken] if held else buffer[:taken]

    # ------------------------------------------------------------------ what is held

    def _adapt(self, tight: bool) -> None:
        """Makes this link hold few bytes if `share` is `tight` (short of memory). Otherwise allows it to hold more.

        To hold more bytes is faster: then a frame of up to STREAM_ABOVE bytes is forwarded in one piece.
        """
        self._tight = tight
        self._relay.stream_above(UNCOUNTED - HEADER_SIZE if tight else STREAM_ABOVE)
        if tight:
            self._relay_size = RELAY_START

    def _grant(self, held: int, relayed: Relayed) -> None:
        """Counts in `share` the `held` bytes of an unfinished message. Sets `relayed.error` if `share` refuses them."""
        more = held - self._granted
        refused = self.share.take(more) if more > 0 else ""
        if refused and relayed.error is None:
            relayed.error = MessageTooBig(refused)
        elif not refused:
            self._granted += max(0, more)
            self._settle_grant(held)

    def _settle_grant(self, held: int) -> None:
        """Reduces the number of bytes counted in `share`, because an unfinished message now needs only `held` bytes."""
        unused = self._granted - max(held, UNCOUNTED)
        if unused:
            self._granted -= unused
            self.share.add(-unused)

    def _stop_relay(self) -> None:
        self._relay.stop()
        self._settle_grant(0)

    def _count_waiting(self) -> None:
        size = len(self._out)
        encrypted = min(size, CHUNK) if isinstance(self._stream, TlsStream) else 0  # TLS holds these bytes once more
        waiting = max(0, size + encrypted - UNCOUNTED)
        if waiting != self._waiting:
            self.share.add(waiting - self._waiting)
            self._waiting = waiting

    def _broken(self, error: Optional[OSError]) -> Exception:
        self._stop_relay()
        return super()._broken(error)

"""The reflector's end of a link to a peer without frames, such as socat or a shell script. Does not travel."""

from __future__ import annotations

import socket
from typing import Any, Optional, Sequence, Union

from medusa.protocol.messages import Close
from medusa.protocol.raw.relay import PlainCodec, PlainRelay
from medusa.transports.base import ClosedTransport
from medusa.transports.relayed import RelayedTransport
from medusa.transports.tls import TlsSocket, over

HUNG_UP = Close(1000, "end of the raw stream")
"""What the end of such a peer's stream stands for: it has no other polite word."""


class PlainTransport(RelayedTransport):
    """Bytes both ways, each direction with an end of its own: a Close that is sent is a FIN behind all that waits, and
    what the peer has not ended may go on.

    Args:
        leftover: bytes that were read behind the greeting.
        scratch: as RelayedTransport's.
        after_cr: the greeting ended with CR, and an LF may follow.
    """

    plain = True

    def __init__(
        self,
        sock: Union[socket.socket, TlsSocket],
        leftover: bytes = b"",
        scratch: Optional[memoryview] = None,
        after_cr: bool = False,
    ) -> None:
        super().__init__(over(sock), PlainCodec(), PlainRelay(after_cr), leftover, scratch)
        self._fin_sent = False

    def flush(self) -> bool:
        """As every transport's, and a FIN behind the last byte."""
        flushed = super().flush()
        if flushed and self._close_sent and not self._fin_sent:
            self._fin_sent = True
            self._stream.shutdown()
        return flushed

    def relay_write(self, pieces: Sequence[Any], mid_frame: bool, boundary: Optional[int] = None) -> bool:
        """Between bytes there is no boundary to keep."""
        return super().relay_write(pieces, False)

    def _broken(self, error: Optional[OSError]) -> Exception:
        if error is None and self._ended is None:
            self._peer_close = HUNG_UP
        return super()._broken(error)

    def _raise_if_unwritable(self) -> None:
        if self._peer_close is None or self.fileno() < 0:
            super()._raise_if_unwritable()
        elif self._deaf is not None:
            raise self._deaf.with_traceback(None)
        elif self._close_sent:
            raise ClosedTransport(self._peer_close)

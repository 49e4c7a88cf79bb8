"""Sends the answers to HTTP requests. gevent-websocket makes the answer 101, which upgrades to a websocket.

gevent-websocket checks the request again, and would refuse it without the field Sec-WebSocket-Version. The programs of
Manta do not send that field. Since medusa.protocol.websocket.handshake has already accepted the request,
gevent-websocket gets the usual fields instead of the real ones.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from geventwebsocket.handler import WebSocketHandler

from medusa.protocol.http.own_header import Field
from medusa.protocol.websocket.handshake import VERSION
from medusa.reflector.net.http_response import build_head
from medusa.reflector.net.sockets import send_soon

QUIET = logging.getLogger("geventwebsocket")
QUIET.addHandler(logging.NullHandler())
QUIET.propagate = False


class UpgradeHandler(WebSocketHandler):  # type: ignore[misc]
    """A handler for pywsgi. Its method `write_101` upgrades the connection to a websocket. It handles no frames."""

    environ: Any
    logger = QUIET
    headers_sent = False
    head = b""
    """The head of the answer, which `write` sends."""

    more_headers: tuple[Field, ...] = ()

    def write_101(self, key: str, headers: tuple[Field, ...] = (), more: bool = False) -> None:
        """Answers 101 to a request that medusa.protocol.websocket.handshake.check_upgrade has accepted.

        Args:
            key: the websocket key that check_upgrade has returned.
            headers: (name, value) of further header fields of the answer.
            more: True if a message follows at once. Then the answer and the message may leave in one packet.

        Raises:
            OSError: the answer could not be sent.
        """
        self.environ["HTTP_SEC_WEBSOCKET_KEY"] = key
        self.environ["HTTP_SEC_WEBSOCKET_VERSION"] = VERSION
        self.more_headers = headers
        refusal = self.upgrade_connection()
        if refusal is not None:
            raise OSError("gevent-websocket refused what was accepted: %r" % refusal)
        self._drop_link()
        self.write(b"", more)

    def upgrade_websocket(self) -> None:
        """Does nothing. gevent-websocket calls it to upgrade each request, but here `write_101` does that."""

    def start_response(self, status: str, headers: list[Field], exc_info: object = None) -> Callable[[bytes], None]:
        """Keeps the head of the answer for `write`, and returns `write`. This is the start_response of WSGI.

        pywsgi's own method would go through the header fields twice more.
        """
        self.status, self.head = status, build_head(status, [*headers, *self.more_headers])
        return self.write

    def write(self, data: bytes, more: bool = False) -> None:
        """Sends `data`. If the head of the answer was not sent yet, sends it together with `data`. Raises OSError.

        pywsgi's own method would send the head and the data one by one. `more`: see `write_101`.
        """
        if not self.headers_sent:
            self.headers_sent = True
            data = self.head + data
        send_soon(self.socket, data, more)

    def _drop_link(self) -> None:
        """Drops gevent-websocket's link object, so its memory is free at once, without a garbage collection.

        First marks the link as closed, and takes its handler away. Otherwise the link would send the peer a Close
        frame.
        """
        self.websocket.closed, self.websocket.handler = True, None
        self.environ.clear()
        del self.websocket

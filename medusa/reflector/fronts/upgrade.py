"""Sends answers: that to a websocket's request, 101, is made by gevent-websocket's handler.

gevent-websocket checks the request again, and would refuse it without the field Sec-WebSocket-Version. The programs of
Manta do not send that field. Since medusa.protocol.websocket.handshake has already accepted the request, the handler
gets the usual fields instead of the real ones.
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
    """A handler for pywsgi that upgrades its connection when `write_101` is called. It reads and writes no frames."""

    environ: Any
    logger = QUIET
    headers_sent = False
    head = b""
    """The head of the answer, which `write` sends."""

    more_headers: tuple[Field, ...] = ()

    def write_101(self, key: str, headers: tuple[Field, ...] = (), more: bool = False) -> None:
        """Answers 101 to a request that medusa.protocol.websocket.handshake.check_upgrade has accepted.

        Args:
            key: what check_upgrade returned.
            headers: (name, value) of further header fields of the answer.
            more: True if a message follows at once. Then both may leave in one packet.

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
        """Does nothing. gevent-websocket calls this to upgrade any request, but here the route decides that."""

    def start_response(self, status: str, headers: list[Field], exc_info: object = None) -> Callable[[bytes], None]:
        """Keeps the head of the answer, as it is: pywsgi would go through the fields twice more. Returns `write`."""
        self.status, self.head = status, build_head(status, [*headers, *self.more_headers])
        return self.write

    def write(self, data: bytes, more: bool = False) -> None:
        """Sends `data`, after the head if that was not sent. pywsgi would send the two one by one. Raises OSError.

        Args:
            more: see `write_101`.
        """
        if not self.headers_sent:
            self.headers_sent = True
            data = self.head + data
        send_soon(self.socket, data, more)

    def _drop_link(self) -> None:
        """Drops gevent-websocket's link, so that it is free at once, without a garbage collection.

        While it is freed, it would send a Close to the peer. It does not if it counts as closed and has no handler.
        """
        self.websocket.closed, self.websocket.handler = True, None
        self.environ.clear()
        del self.websocket

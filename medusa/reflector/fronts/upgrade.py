"""Sends the answers to HTTP requests, among them the answer 101, which upgrades the connection to a websocket.

The handler is that of gevent-websocket. Its own method for the upgrade checks the request again, which
medusa.protocol.websocket.handshake has done by then, and makes objects that read and write frames, which nothing here
uses. So this module overrides it with a method that only makes the head of the answer, byte for byte the same one.
Requests without Sec-WebSocket-Version are answered as well, because the programs of Manta do not send that field.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gevent.pywsgi import WSGIHandler
from geventwebsocket.handler import WebSocketHandler

from medusa.protocol.http.own_header import Field
from medusa.protocol.websocket.handshake import accept_value
from medusa.reflector.net.http_response import build_head
from medusa.reflector.net.sockets import send_soon

_SWITCHING = "101 Switching Protocols"
_UPGRADED = (("Upgrade", "websocket"), ("Connection", "Upgrade"))
_PLAIN_101 = build_head(_SWITCHING, [*_UPGRADED, ("Sec-WebSocket-Accept", "%s")])


class UpgradeHandler(WebSocketHandler):  # type: ignore[misc]
    """A handler for pywsgi. Its method `write_101` upgrades the connection to a websocket. It handles no frames."""

    environ: Any
    headers_sent = False
    head = b""
    """The head of the answer, which `write` sends."""

    websocket_key = ""
    more_headers: tuple[Field, ...] = ()

    run_application = WSGIHandler.run_application
    """The method of pywsgi. That of gevent-websocket would upgrade the request before the application sees it."""

    def write_101(self, key: str, headers: tuple[Field, ...] = (), more: bool = False) -> None:
        """Answers 101 to a request that medusa.protocol.websocket.handshake.check_upgrade has accepted.

        Args:
            key: the websocket key that check_upgrade has returned.
            headers: (name, value) of further header fields of the answer.
            more: True if a message follows at once. Then the answer and the message may leave in one packet.

        Raises:
            OSError: the answer could not be sent.
        """
        self.websocket_key, self.more_headers = key, headers
        self.upgrade_connection()
        self.write(b"", more)

    def upgrade_connection(self) -> None:
        """Makes the head of the answer 101 from `websocket_key`, a valid key, and `more_headers`."""
        self.status = _SWITCHING
        accept = accept_value(self.websocket_key)
        if self.more_headers:
            fields = [*_UPGRADED, ("Sec-WebSocket-Accept", accept), *self.more_headers]
            self.head = build_head(_SWITCHING, fields)
        else:
            self.head = _PLAIN_101 % accept.encode("ascii")

    def start_response(self, status: str, headers: list[Field], exc_info: object = None) -> Callable[[bytes], None]:
        """Keeps the head of the answer for `write`, and returns `write`. This is the start_response of WSGI.

        pywsgi's own method would go through the header fields twice more.
        """
        self.status, self.head = status, build_head(status, headers)
        return self.write

    def write(self, data: bytes, more: bool = False) -> None:
        """Sends `data`. If the head of the answer was not sent yet, sends it together with `data`. Raises OSError.

        pywsgi's own method would send the head and the data one by one. `more`: see `write_101`.
        """
        if not self.headers_sent:
            self.headers_sent = True
            data = self.head + data
        send_soon(self.socket, data, more)

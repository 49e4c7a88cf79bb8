"""Makes the answer 101 to a websocket's request, with gevent-websocket's handler.

gevent-websocket checks the request again, and would refuse it without the field Sec-WebSocket-Version. The programs of
Manta do not send that field. Since medusa.protocol.websocket.handshake has already accepted the request, the handler
gets the usual fields instead of the real ones.
"""

from __future__ import annotations

import io
import logging
from typing import Any

from geventwebsocket.handler import WebSocketHandler

from medusa.protocol.websocket.handshake import VERSION
from medusa.reflector.net.http_response import build_head

_QUIET = logging.getLogger("geventwebsocket")
_QUIET.addHandler(logging.NullHandler())
_QUIET.propagate = False


class _Nowhere:
    """Stands for the connection's socket, to which gevent-websocket's own link would write."""

    @staticmethod
    def sendall(data: bytes) -> None:
        """Does nothing."""


class _Upgrade(WebSocketHandler):  # type: ignore[misc]
    """The handler of one upgrade. It has no connection: it keeps the answer, and reads and writes no frames."""

    logger = _QUIET
    application = None
    rfile = io.BytesIO()
    socket = _Nowhere

    def __init__(self, key: str) -> None:
        self.environ: Any = {"HTTP_SEC_WEBSOCKET_KEY": key, "HTTP_SEC_WEBSOCKET_VERSION": VERSION}
        self.head = b""

    def start_response(self, status: str, headers: list[tuple[str, str]], exc_info: object = None) -> None:
        """Keeps the head of the answer."""
        self.head = build_head(status, headers)


def answer_101(key: str) -> bytes:
    """Returns the answer to a request that medusa.protocol.websocket.handshake.check_upgrade has accepted.

    Args:
        key: what check_upgrade returned.

    Raises:
        OSError: gevent-websocket refuses the request.
    """
    handler = _Upgrade(key)
    refusal = handler.upgrade_connection()
    if refusal is not None:
        raise OSError("gevent-websocket refused what was accepted: %r" % refusal)
    handler.environ.clear()  # it has gevent-websocket's link, which has the environ: only the collector would free both
    del handler.websocket
    return handler.head

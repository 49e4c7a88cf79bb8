"""Writes the answer 101 to a websocket's request, with gevent-websocket's handler.

gevent-websocket checks the request again, and would refuse it without the field Sec-WebSocket-Version. The programs of
Manta do not send that field. Since medusa.protocol.websocket.handshake has already accepted the request, the handler
gets the usual fields instead of the real ones.
"""

from __future__ import annotations

import logging
from typing import Any

from geventwebsocket.handler import WebSocketHandler

from medusa.protocol.http.own_header import Field
from medusa.protocol.websocket.handshake import VERSION

QUIET = logging.getLogger("geventwebsocket")
QUIET.addHandler(logging.NullHandler())
QUIET.propagate = False


class UpgradeHandler(WebSocketHandler):  # type: ignore[misc]
    """A handler for pywsgi that upgrades its connection when `write_101` is called. It reads and writes no frames."""

    environ: Any

    more_headers: tuple[Field, ...] = ()

    def write_101(self, key: str, more: tuple[Field, ...] = ()) -> None:
        """Answers 101 to a request that medusa.protocol.websocket.handshake.check_upgrade has accepted.

        Args:
            key: what check_upgrade returned.
            more: (name, value) of further header fields of the answer.

        Raises:
            OSError: the answer could not be sent.
        """
        self.environ["HTTP_SEC_WEBSOCKET_KEY"] = key
        self.environ["HTTP_SEC_WEBSOCKET_VERSION"] = VERSION
        self.more_headers = more
        refusal = self.upgrade_connection()
        if refusal is not None:
            raise OSError("gevent-websocket refused what was accepted: %r" % refusal)
        self.write(b"")

    def start_response(self, status: str, headers: list[Field], exc_info: Any = None) -> Any:
        """Adds the further header fields to an answer of gevent-websocket, and begins it."""
        return super().start_response(status, [*headers, *self.more_headers], exc_info)

    def upgrade_websocket(self) -> None:
        """Does nothing. gevent-websocket calls this to upgrade any request, but here the route decides that."""

"""gevent-websocket's handler, used for the answer 101 alone: it checks the request once more, and writes the answer.

It refuses a request without Sec-WebSocket-Version, which is what all programs of Manta send. But the request has been
checked by medusa.protocol.websocket.handshake, so the handler is shown one with the usual fields.
"""

from __future__ import annotations

import logging
from typing import Any

from geventwebsocket.handler import WebSocketHandler

from medusa.protocol.websocket.handshake import VERSION

QUIET = logging.getLogger("geventwebsocket")
QUIET.addHandler(logging.NullHandler())
QUIET.propagate = False


class UpgradeHandler(WebSocketHandler):  # type: ignore[misc]
    """A pywsgi handler that upgrades if `write_101` is called. It handles no frames."""

    environ: Any

    def write_101(self, key: str) -> None:
        """Answer a request that medusa.protocol.websocket.handshake.check_upgrade has accepted.

        Args:
            key: returned by check_upgrade.

        Raises:
            OSError
        """
        self.environ["HTTP_SEC_WEBSOCKET_KEY"] = key
        self.environ["HTTP_SEC_WEBSOCKET_VERSION"] = VERSION
        refusal = self.upgrade_connection()
        if refusal is not None:
            raise OSError("gevent-websocket refused what was accepted: %r" % refusal)
        self.write(b"")

    def upgrade_websocket(self) -> None:
        """For gevent-websocket, which would upgrade here by itself: the route decides that."""

"""gevent-websocket's handler, for the upgrade alone: it checks the request once more and writes the 101.

What it cannot do: take a request without Sec-WebSocket-Version, which is what every program of Manta's sends.
medusa.protocol.websocket.handshake has judged the request; the handler is shown the plain form.
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
    """Upgrades when it is told to, by `write_101`; frames are none of its business."""

    environ: Any

    def write_101(self, key: str) -> None:
        """Answer a request that medusa.protocol.websocket.handshake.check_upgrade has accepted; `key` is from there.

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
        """Never by itself: the route decides."""

"""Where peers come in: one front for each protocol, and what both ask before a peer gets in.

http_front  HTTP: a request head read strictly, TLS, the upgrade
raw_front   raw TCP: a greeting, then frames or plain bytes
upgrade     gevent-websocket's handler, which writes the answer 101
routes      the paths of HTTP, and the function for each
admission   may this peer attach to this session, and the attaching
"""

from __future__ import annotations

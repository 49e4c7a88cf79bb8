"""A link to where a URL points, by the URL's scheme."""

from __future__ import annotations

from typing import Iterable, Tuple

from medusa.transports import framed, websocket
from medusa.transports.base import Transport
from medusa.transports.dial import CONNECT_TIMEOUT, is_raw


def connect(
    url: str,
    *,
    insecure_tls: bool = False,
    timeout: float = CONNECT_TIMEOUT,
    headers: Iterable[Tuple[str, str]] = (),
) -> Transport:
    """A websocket, or raw TCP with frames. There are no `headers`, and no TLS, on the latter.

    Raises:
        ConnectRefused: with the status where there was one, and whether to try again.
    """
    if is_raw(url):
        return framed.connect(url, timeout=timeout)
    return websocket.connect(url, insecure_tls=insecure_tls, timeout=timeout, headers=headers)

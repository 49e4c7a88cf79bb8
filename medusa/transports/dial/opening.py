"""Opens a connected socket to the host of a URL: TCP, the proxy that the environment names, and TLS."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, Callable, Union

from medusa.transports.dial.answer import read_response
from medusa.transports.dial.errors import ConnectRefused, NoTls, Untrusted, refusal
from medusa.transports.dial.proxy import Proxy, proxy_for
from medusa.transports.dial.target import Target
from medusa.transports.dial.tcp import connect_tcp, reason
from medusa.transports.steps import Steps, run, send_all

if TYPE_CHECKING:
    from medusa.transports.tls import TlsSocket

NO_TLS = "the peer does not speak TLS; the URL of a port without TLS begins with http:// (or ws://)"

PROXY_AUTHENTICATION_REQUIRED = 407

CONNECT_TIMEOUT = 30.0
"""The default limit, in seconds, for everything together: name lookup, TCP, proxy, TLS, and the upgrade or greeting."""


def open_socket(
    target: Target, insecure_tls: bool, deadline: float, *, proxies: bool = True
) -> Union[socket.socket, TlsSocket]:
    """Opens a blocking socket to `target`. Blocks until it is open. For the arguments and errors see `open_steps`."""
    sock = run(open_steps(target, insecure_tls, deadline, proxies=proxies))
    sock.settimeout(None)
    return sock


def open_steps(
    target: Target,
    insecure_tls: bool,
    deadline: float,
    *,
    proxies: bool = True,
    clock: Callable[[], float] = time.monotonic,
) -> Steps[Union[socket.socket, TlsSocket]]:
    """Opens a non-blocking socket to `target`, and returns it.

    Uses TLS if the URL asks for it, and a proxy if the environment names one.

    Args:
        insecure_tls: True to accept any certificate.
        deadline: the latest end, as a time of `clock`.
        proxies: False to ignore the proxy that the environment names.

    Raises:
        ConnectRefused: the connection failed, or the proxy refused.
    """
    proxy = proxy_for(target) if proxies else None
    if proxy:
        sock = yield from _connect_to(proxy, deadline, clock)
    else:
        sock = yield from connect_tcp(target.host, target.port, deadline, clock)
    try:
        if proxy:
            yield from _tunnel(sock, target.where, proxy, deadline)
        if not target.secure:
            return sock
        return (yield from _secured(sock, target, insecure_tls, deadline))
    except (OSError, ValueError) as error:
        sock.close()
        raise ConnectRefused("%s: %s" % (target.where, reason(error))) from None
    except BaseException:
        sock.close()
        raise


def _secured(sock: socket.socket, target: Target, insecure_tls: bool, deadline: float) -> Steps[TlsSocket]:
    """Makes the TLS handshake over `sock`. Raises ConnectRefused, OSError and ValueError."""
    import ssl  # this and the next ones take long: nothing loads them for a URL without TLS

    from medusa.transports.tls import NotTls, Tls, TlsSocket, client_context
    from medusa.transports.tls.trust import distrust

    try:
        secure = TlsSocket(sock, Tls(client_context(insecure_tls), target.certified))
        yield from secure.handshake_steps(deadline)
        return secure
    except ssl.SSLCertVerificationError as error:
        text = "%s: certificate not accepted: %s" % (target.where, distrust(error))
        raise Untrusted(text, retryable=False) from None
    except NotTls:
        raise NoTls("%s: %s" % (target.where, NO_TLS)) from None


def _connect_to(proxy: Proxy, deadline: float, clock: Callable[[], float]) -> Steps[socket.socket]:
    try:
        return (yield from connect_tcp(proxy.host, proxy.port, deadline, clock))
    except ConnectRefused as error:
        raise ConnectRefused("the proxy %s" % error) from None


def _tunnel(sock: socket.socket, where: str, proxy: Proxy, deadline: float) -> Steps[None]:
    """Asks the proxy for a tunnel (RFC 9110 section 9.3.6). Any status 2xx grants the tunnel.

    An answer that grants the tunnel has no body, even if it has a Content-Length. Raises ConnectRefused.
    """
    head = "CONNECT %s HTTP/1.1\r\nHost: %s\r\n" % (where, where)
    if proxy.authorization:
        head += "Proxy-Authorization: %s\r\n" % proxy.authorization
    yield from send_all(sock, (head + "\r\n").encode("latin-1"), deadline)
    response, rest = yield from read_response(sock, deadline)
    status = response.status
    granted = 200 <= status < 300
    if granted and not rest:
        return
    words = "sent something before it was asked" if granted else "refused: %d %s" % (status, response.reason)
    text = "the proxy %s %s" % (proxy.where, words.rstrip())
    if status == PROXY_AUTHENTICATION_REQUIRED:
        text += "; HTTP_PROXY and HTTPS_PROXY may hold its login, as in http://USER:PASSWORD@HOST:PORT"
    raise refusal(text, response, "http://" + where)

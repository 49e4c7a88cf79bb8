"""Opens a connected socket to the host of a URL: TCP, the proxy that the environment variables name, and TLS."""

from __future__ import annotations

import base64
import re
import socket
import ssl
import time
import urllib.parse
import urllib.request
from typing import Callable, NamedTuple, Optional, Tuple, TypeVar, Union

from medusa.protocol.errors import HandshakeError
from medusa.protocol.http.head import HeadReader, Response, parse_response
from medusa.transports.tls import Tls, TlsSocket, client_context

SECURE = {"https": True, "wss": True, "http": False, "ws": False, "tcp": False}
"""Maps each URL scheme to True if it means TLS."""

RAW = "tcp"
"""The URL scheme of raw TCP. Raw TCP uses no HTTP."""

RETRYABLE = frozenset((404, 408, 425, 429, 500, 502, 503, 504))
"""The HTTP statuses after which a later try may succeed. 404 is among them: the session may soon be created."""

PROXY_AUTHENTICATION_REQUIRED = 407

_VISIBLE = re.compile(r"[\x21-\x7e]+\Z")

CONNECT_TIMEOUT = 30.0
"""The default limit, in seconds, for everything together: name lookup, TCP, proxy, TLS, and the upgrade or greeting."""

SIGNAL_LATENCY = 0.5
"""The longest single wait, in seconds. Longer waits are split, because Python handles signals between two waits."""


class ConnectRefused(Exception):
    """Raised if a link could not be opened. The text says why.

    The text never holds the URL's query, which may contain a signature.

    Attributes:
        status: the HTTP status with which the peer refused. None if it sent no status, or a wrong answer.
        retryable: True if a later try may succeed.
    """

    def __init__(self, reason: str, status: Optional[int] = None, retryable: bool = True) -> None:
        super().__init__(reason)
        self.status = status
        self.retryable = retryable


class Untrusted(ConnectRefused):
    """Raised if the link could not be opened because the peer's certificate is not trusted."""


class Target(NamedTuple):
    """The parts of a URL that are needed to connect.

    Attributes:
        secure: True if the URL asks for TLS.
        host, port: the host and port to connect to.
        netloc, target: host and port, path and query, unchanged from the URL: a signed URL is compared byte for byte.
    """

    secure: bool
    host: str
    port: int
    netloc: str
    target: str


T = TypeVar("T")


def is_raw(url: str) -> bool:
    """Returns True if the scheme of `url` is that of raw TCP."""
    return url.partition("://")[0].lower() == RAW


def parse_url(url: str) -> Target:
    """Parses a ws, wss, http, https or tcp URL.

    Raises:
        ConnectRefused: `url` is not such a URL.
    """
    try:
        parts = urllib.parse.urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ConnectRefused("the URL cannot be read", retryable=False) from None
    netloc = parts.netloc.rpartition("@")[2]
    target = (parts.path or "/") + ("?" + parts.query if parts.query else "")
    if parts.scheme not in SECURE or not host or not _VISIBLE.match(netloc + target):
        raise ConnectRefused("the URL is not one of ws, wss, http, https or tcp", retryable=False)
    if parts.scheme == RAW and not port:
        raise ConnectRefused("a tcp:// URL needs a port", retryable=False)
    secure = SECURE[parts.scheme]
    return Target(secure, host, port or (443 if secure else 80), netloc, target)


def open_socket(target: Target, insecure_tls: bool, deadline: float) -> Union[socket.socket, TlsSocket]:
    """Opens a blocking socket to `target`, through a proxy and with TLS if necessary.

    Args:
        insecure_tls: True to accept any certificate.
        deadline: the latest end, as a time of time.monotonic().

    Raises:
        ConnectRefused: the connection failed, or the proxy refused.
    """
    where = "%s:%d" % ("[%s]" % target.host if ":" in target.host else target.host, target.port)
    proxy = _proxy(target)
    sock = _connect(proxy[0] if proxy else target.host, proxy[1] if proxy else target.port, deadline)
    try:
        if proxy:
            _tunnel(sock, where, proxy, deadline)
        return _secure(sock, target.host, insecure_tls, deadline) if target.secure else sock
    except OSError as error:
        sock.close()
        raise _refused(where, error) from None
    except BaseException:
        sock.close()
        raise


def read_response(sock: Union[socket.socket, TlsSocket], deadline: float) -> Tuple[Response, bytes]:
    """Reads an HTTP response up to the end of its head. Returns the head, and the bytes that came after it.

    Raises:
        ConnectRefused: the head did not come before `deadline`, or is not HTTP.
    """
    head, rest = read_answer(sock, deadline, HeadReader().feed)
    try:
        return parse_response(head), rest
    except HandshakeError as error:
        raise ConnectRefused(str(error)) from None


def read_answer(sock: Union[socket.socket, TlsSocket], deadline: float, feed: Callable[[bytes], Optional[T]]) -> T:
    """Reads from the socket and calls `feed` with each piece, until `feed` returns something. Returns that result.

    Args:
        deadline: the latest end, as a time of time.monotonic().
        feed: a function that returns None until the answer is whole.

    Raises:
        ConnectRefused: the answer was not whole before `deadline`, or `feed` raised HandshakeError.
    """
    while True:
        sock.settimeout(min(SIGNAL_LATENCY, remaining(deadline)))
        try:
            data = sock.recv(4096)
            found = feed(data) if data else None
            if found is not None:
                return found
        except socket.timeout as error:
            if time.monotonic() < deadline:
                continue
            raise ConnectRefused("no answer: %s" % error) from None
        except OSError as error:
            raise ConnectRefused("no answer: %s" % (error.strerror or error)) from None
        except HandshakeError as error:
            raise ConnectRefused(str(error)) from None
        if not data:
            raise ConnectRefused("the connection was closed without an answer")


def remaining(deadline: float) -> float:
    """Returns the seconds until `deadline`. Never returns 0, because that timeout would make a socket non-blocking."""
    return max(0.001, deadline - time.monotonic())


def _connect(host: str, port: int, deadline: float) -> socket.socket:
    try:
        sock = socket.create_connection((host, port), remaining(deadline))
    except (OSError, UnicodeError) as error:
        raise _refused("%s:%d" % (host, port), error) from None
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # send each keystroke at once
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return sock


def _refused(where: str, error: Exception) -> ConnectRefused:
    if isinstance(error, ssl.SSLCertVerificationError):
        return Untrusted("%s: certificate not accepted: %s" % (where, error.verify_message), retryable=False)
    text = "timed out" if isinstance(error, socket.timeout) else getattr(error, "strerror", None) or str(error)
    return ConnectRefused("%s: %s" % (where, text))


def _secure(sock: socket.socket, host: str, insecure: bool, deadline: float) -> TlsSocket:
    secure = TlsSocket(sock, Tls(client_context(insecure), host))
    secure.handshake(deadline=deadline)
    return secure


def _proxy(target: Target) -> Optional[Tuple[str, int, str]]:
    """Returns the proxy for `target` according to HTTP_PROXY, HTTPS_PROXY and NO_PROXY. None if there is none.

    Returns:
        (host, port, value of the Proxy-Authorization header or "")
    """
    proxies = urllib.request.getproxies_environment()
    url = proxies.get("https" if target.secure else "http")
    bypass = urllib.request.proxy_bypass_environment  # type: ignore[attr-defined]
    if not url or bypass("%s:%d" % (target.host, target.port), proxies):
        return None
    try:
        parts = urllib.parse.urlsplit(url if "://" in url else "http://" + url)
        host, port = parts.hostname, parts.port or 80
    except ValueError:
        host = None
    if not host or parts.scheme != "http":
        raise ConnectRefused("the proxy in the environment is not an http:// URL", retryable=False)
    if parts.username is None:
        return host, port, ""
    login = "%s:%s" % (urllib.parse.unquote(parts.username), urllib.parse.unquote(parts.password or ""))
    return host, port, "Basic " + base64.b64encode(login.encode("utf-8")).decode("ascii")


def _tunnel(sock: socket.socket, where: str, proxy: Tuple[str, int, str], deadline: float) -> None:
    host, port, authorization = proxy
    head = "CONNECT %s HTTP/1.1\r\nHost: %s\r\n" % (where, where)
    if authorization:
        head += "Proxy-Authorization: %s\r\n" % authorization
    sock.settimeout(remaining(deadline))
    sock.sendall((head + "\r\n").encode("latin-1"))
    response, rest = read_response(sock, deadline)
    if response.status != 200 or rest:
        reason = "the proxy %s:%d refused: %d %s" % (host, port, response.status, response.reason)
        if response.status == PROXY_AUTHENTICATION_REQUIRED:
            reason += "; HTTP_PROXY and HTTPS_PROXY may hold its login, as in http://USER:PASSWORD@HOST:PORT"
        raise ConnectRefused(reason, response.status, response.status in RETRYABLE)

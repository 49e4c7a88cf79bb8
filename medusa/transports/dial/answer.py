"""Reads the answer to a request, before a deadline: the head of an HTTP response, or a line of raw TCP."""

from __future__ import annotations

import socket
import time
from typing import Callable, Optional, Tuple, TypeVar, Union

from medusa.protocol.errors import HandshakeError
from medusa.protocol.http.head import Response
from medusa.protocol.http.response import ResponseReader
from medusa.transports.dial.errors import ConnectRefused
from medusa.transports.tls import TlsSocket

SIGNAL_LATENCY = 0.5
"""The longest single wait, in seconds. Longer waits are split, because Python handles signals between two waits."""

T = TypeVar("T")


def read_response(sock: Union[socket.socket, TlsSocket], deadline: float) -> Tuple[Response, bytes]:
    """Reads an HTTP response up to the end of its head. Returns the head, and the bytes that came after it.

    Interim responses, such as 103 Early Hints, are skipped.

    Raises:
        ConnectRefused: the head did not come before `deadline`, or is not HTTP.
    """
    return read_answer(sock, deadline, ResponseReader().feed)


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
        if time.monotonic() >= deadline:
            raise ConnectRefused("no answer: timed out")


def remaining(deadline: float) -> float:
    """Returns the seconds until `deadline`. Never returns 0, because that timeout would make a socket non-blocking."""
    return max(0.001, deadline - time.monotonic())

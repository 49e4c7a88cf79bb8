"""Reads the answer to a request, before a deadline: the head of an HTTP response, or a line of raw TCP."""

from __future__ import annotations

import socket
import time
from typing import Callable, Optional, Tuple, TypeVar, Union

from medusa.protocol.errors import HandshakeError
from medusa.protocol.http.head import Response
from medusa.protocol.http.response import ResponseReader
from medusa.transports.dial.errors import ConnectRefused
from medusa.transports.socket_stream import SocketStream
from medusa.transports.steps import Steps, receive

T = TypeVar("T")


def read_response(sock: Union[socket.socket, SocketStream], deadline: float) -> Steps[Tuple[Response, bytes]]:
    """Reads an HTTP response up to the end of its head. Returns the head, and the bytes that came after it.

    Interim responses, such as 103 Early Hints, are skipped.

    Raises:
        ConnectRefused: the head did not come before `deadline`, or is not HTTP.
    """
    return read_answer(sock, deadline, ResponseReader().feed)


def read_answer(
    sock: Union[socket.socket, SocketStream], deadline: float, feed: Callable[[bytes], Optional[T]]
) -> Steps[T]:
    """Reads from the socket and calls `feed` with each piece, until `feed` returns a result. Returns that result.

    Args:
        sock: a socket that does not block, or a stream.
        deadline: the latest end, as a time of time.monotonic().
        feed: a function that returns None until the answer is whole.

    Raises:
        ConnectRefused: the answer was not whole before `deadline`, or `feed` raised HandshakeError.
    """
    while True:
        try:
            data = yield from receive(sock, 4096, deadline)
            found = feed(data) if data else None
        except OSError as error:
            raise ConnectRefused("no answer: %s" % (error.strerror or error)) from None
        except HandshakeError as error:
            raise ConnectRefused(str(error)) from None
        if found is not None:
            return found
        if not data:
            raise ConnectRefused("the connection was closed without an answer")


def remaining(deadline: float) -> float:
    """Returns the seconds until `deadline`. Never returns 0, because that timeout would make a socket non-blocking."""
    return max(0.001, deadline - time.monotonic())

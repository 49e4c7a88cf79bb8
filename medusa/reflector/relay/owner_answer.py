"""Reads the answer to a request that this process has passed on to the owner of a session.

The owner is another worker, or another reflector. If the owner refuses the peer, this module passes the answer on and
gives the peer a short time to hang up. Until the owner has answered, the peer counts as one that has not identified
itself; see Accepted.startup.
"""

from __future__ import annotations

import re
from typing import Any

import gevent

from medusa.reflector.config import Timeouts
from medusa.reflector.net.accepted import Accepted
from medusa.reflector.net.listen import HTTP, RAW
from medusa.reflector.net.sockets import hang_up

_STATUS = {HTTP: re.compile(rb"HTTP/1\.1 ([0-9]{3})"), RAW: re.compile(rb"(?:ERR ([0-9]{3})|OK)")}
"""Regular expressions for the start of an answer, by the kind of connection. The group is the status, if there is one.
"""

ACCEPTED = (101, 0)
"""The statuses of an answer that lets the peer in: of HTTP, and of raw TCP."""

_MAX_START = len(b"HTTP/1.1 101")
"""The status of every valid answer is found within so many bytes."""

MAX_REFUSAL = 64 * 1024
"""The most bytes of a refusal that are passed on."""


def read_start(owner: Any, *kinds: str) -> tuple[bytes, int]:
    """Returns the first bytes of the owner's answer, and the status in them.

    The status is a status of HTTP. It is 0 if the answer is OK in the protocol of raw TCP.

    Args:
        owner: the socket of the connection to the owner.
        kinds: the protocols that the answer may have: HTTP, RAW or both.

    Raises:
        OSError: the owner has hung up, does not answer in time, or its answer does not begin with a status.
    """
    answer = b""
    while not (found := [match for kind in kinds if (match := _STATUS[kind].match(answer))]):
        data = owner.recv(4096) if len(answer) < _MAX_START else b""
        if not data:
            raise OSError("not the answer of a reflector")
        answer += data
    return answer, int(found[0][1] or 0)


def pass_on_refusal(owner: Any, accepted: Accepted, answer: bytes, timeouts: Timeouts) -> None:
    """Passes the owner's refusal on to the peer, and closes both connections.

    Args:
        owner: the socket of the connection to the owner.
        answer: the first bytes of the refusal, which are read already.
    """
    try:
        with gevent.Timeout(timeouts.answer_timeout, TimeoutError()):
            size = 0
            while answer and size < MAX_REFUSAL:
                accepted.sock.sendall(answer)
                size += len(answer)
                answer = owner.recv(MAX_REFUSAL)
    except OSError:
        pass  # one of the two is gone
    finally:
        owner.close()
    hang_up(accepted.sock, timeouts.linger_timeout)
    accepted.sock = None

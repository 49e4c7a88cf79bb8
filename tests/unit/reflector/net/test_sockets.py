from __future__ import annotations

import contextlib
import socket
import threading

import gevent.socket

from medusa.reflector.net.sockets import MOST_LINGERING, hang_up
from tests.waiting import PATIENCE


def test_what_a_refused_peer_goes_on_to_send_is_bounded() -> None:
    peer, accepted = socket.socketpair()
    sent = [0]

    def send_forever() -> None:
        with contextlib.suppress(OSError):
            while True:
                sent[0] += peer.send(bytes(1 << 16))

    with peer:
        peer.settimeout(PATIENCE)
        sender = threading.Thread(target=send_forever)
        sender.start()
        hang_up(gevent.socket.socket(fileno=accepted.detach()), PATIENCE)
        sender.join()
    assert MOST_LINGERING <= sent[0] < 8 * MOST_LINGERING

"""Whether an endpoint's peer still accepts what is sent to it."""

from __future__ import annotations

from tests.frames import BINARY, head
from tests.unit.reflector.relay.endpoint.wires import Make


def test_a_backlog_that_shrinks_counts_as_draining(make: Make) -> None:
    near, far = make()
    near.fill()
    far.endpoint.is_draining()
    assert not far.endpoint.is_draining()
    far.until_received(8193)
    assert far.endpoint.is_draining()


def test_nothing_is_asked_of_a_peer_inside_a_frame(make: Make) -> None:
    near, far = make()
    near.peer.send(head(BINARY, 1 << 20) + b"begun")
    far.until_received(10 + 5)
    assert far.endpoint.backlog == 0
    assert far.endpoint.is_draining()

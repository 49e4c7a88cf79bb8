"""Raw peers that hold a session: they get tickets, and come back with them."""

from __future__ import annotations

import json

import pytest

from tests.peers import TEXT, Frame, Peer, upgrade
from tests.reflectors import Reflector

INCARNATION = "c" * 32
FEATURES = {"master": "notice,hold", "slave": "call,hold"}
NEW = b'medusa:{"type":"ticket"'


class HoldingPeer(Peer):
    """A peer that was let in, and has got a ticket: the first one, or the newest one that came on its link."""

    ticket = ""

    def word(self) -> Frame:
        """The next frame but for pings and new tickets."""
        while (message := super().word()).opcode == TEXT and message.payload.startswith(NEW):
            self.ticket = json.loads(message.payload.partition(b":")[2])["ticket"]
        return message

    def lost(self) -> None:
        """The link ends without a Close."""
        with pytest.raises(AssertionError, match="ended early"):
            self.word()


def head(path: str, ticket: str = "", **more: str) -> bytes:
    """The request of a peer that holds. `ticket`: by which it comes back; it then joins, if it is a client."""
    role = path.partition("?")[0].rpartition("/")[2]
    fields = {"medusa_features": FEATURES[role], **more}
    if role == "slave":
        fields = {"medusa_incarnation": INCARNATION, **fields}
    if ticket:
        fields |= {"medusa_ticket": ticket, **({"medusa_join": "1"} if role == "master" else {})}
    return upgrade(path, **fields)


def enter(reflector: Reflector, path: str, ticket: str = "", **more: str) -> HoldingPeer:
    """A peer that was let in."""
    peer = HoldingPeer(reflector.open(head(path, ticket, **more)).sock)
    try:
        answer = peer.head()
        assert answer.status == 101, answer
        peer.ticket = answer.headers["medusa-ticket"]
    except BaseException:
        peer.close()
        raise
    return peer


def status(reflector: Reflector, path: str, ticket: str) -> int:
    """The status with which a request with a ticket is refused."""
    return reflector.ask(head(path, ticket)).status

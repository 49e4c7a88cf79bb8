"""Raw agents that hold their sessions: their home links, over any door."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from tests.legs import answer
from tests.peers import LINKUP, TEXT, Peer, upgrade
from tests.rawpeers import FramedPeer, connect
from tests.reflectors import Reflector

INCARNATION = "1f" * 16


class Home(NamedTuple):
    """A home link, and the ticket that its agent was given."""

    peer: Peer
    ticket: str


def home(door: Reflector, session: str, kind: str = "websocket", ticket: str = "", hold: int = 60) -> Home:
    """The home link of an agent that enters at `door`, by a request without a signature."""
    said = {"medusa_features": "call,hold", "medusa_hold": str(hold), "medusa_incarnation": INCARNATION}
    if ticket:
        said["medusa_ticket"] = ticket
    if kind == "websocket":
        peer = door.open(upgrade(f"/attach/{session}/slave", **said))
        head = peer.head()
        assert head.status == 101, head
        assert head.headers["medusa-hold"] == str(hold)
        return Home(peer, head.headers["medusa-ticket"])
    words = " ".join(f"{name.removeprefix('medusa_')}={value}" for name, value in said.items())
    raw = FramedPeer(connect(door, f"MEDUSA/1 /attach/{session}/slave here {words}\n".encode()).sock)
    accepted, *given = raw.line().decode().split(" ")
    fields = dict(word.split("=", 1) for word in given)
    assert (accepted, fields["hold"]) == ("OK", str(hold))
    return Home(raw, fields["ticket"])


def next_call(home: Peer) -> str:
    """The leg of the next call; tickets before it are skipped."""
    while True:
        message = home.word()
        assert message.opcode == TEXT, message
        body = json.loads(message.payload.partition(b":")[2])
        if body["type"] == "call":
            return str(body["leg"])
        assert body["type"] == "ticket", body


def leg(door: Reflector, session: str, home: Peer, kind: str = "websocket") -> Peer:
    """The link of the agent that answers the next call at `door`, linked."""
    link = answer(door, session, next_call(home), kind)
    link.expect(TEXT, LINKUP)
    return link


def shown(door: Reflector, session: str) -> dict[str, Any]:
    """What the list of sessions says about one; {} if it is not there."""
    entries = door.get("/sessions").json()["sessions"]
    return next((entry for entry in entries if entry["id"] == session), {})

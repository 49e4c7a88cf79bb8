"""Sessions with several clients of one agent: raw peers that join, and that answer calls."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import NamedTuple

from tests import rawpeers
from tests.peers import LINKUP, TEXT, Peer, upgrade
from tests.rawpeers import FramedPeer
from tests.reflectors import Reflector, new_id


class Linked(NamedTuple):
    """A session whose agent takes calls."""

    name: str
    client: Peer
    agent: Peer


@contextlib.contextmanager
def session(reflector: Reflector) -> Iterator[Linked]:
    """A session that is linked."""
    name = new_id()
    client, agent = upgrade(f"/attach/{name}/master"), upgrade(f"/attach/{name}/slave", medusa_features="call")
    with reflector.enter(client) as first, reflector.enter(agent) as second:
        first.linked()
        second.expect(TEXT, LINKUP)
        yield Linked(name, first, second)


def join_head(session: str) -> bytes:
    """What a client sends that joins."""
    return upgrade(f"/attach/{session}/master", medusa_join="1")


def leg_head(session: str, leg: str) -> bytes:
    """What an agent sends that was called."""
    return upgrade(f"/attach/{session}/slave", medusa_leg=leg)


def join(reflector: Reflector, session: str, kind: str = "websocket") -> Peer:
    """A client that has joined."""
    if kind == "websocket":
        return reflector.enter(join_head(session))
    return _framed(reflector, f"/attach/{session}/master here join=1")


def answer(reflector: Reflector, session: str, leg: str, kind: str = "websocket") -> Peer:
    """The link of an agent that was called."""
    if kind == "websocket":
        return reflector.enter(leg_head(session, leg))
    return _framed(reflector, f"/attach/{session}/slave here leg={leg}")


def _framed(reflector: Reflector, greeting: str) -> FramedPeer:
    peer = FramedPeer(rawpeers.connect(reflector, f"MEDUSA/1 {greeting}\n".encode()).sock)
    assert peer.line() == b"OK"
    return peer


def called(agent: Peer) -> str:
    """Reads the call that comes next at an agent. Returns its leg."""
    message = agent.word()
    prefix, _, body = message.payload.partition(b":")
    assert (message.opcode, prefix) == (TEXT, b"medusa"), message
    call = json.loads(body)
    assert set(call) == {"type", "leg"}
    assert call["type"] == "call"
    return str(call["leg"])


@contextlib.contextmanager
def leg(
    reflector: Reflector, session: str, agent: Peer, kinds: tuple[str, str] = ("websocket", "websocket")
) -> Iterator[tuple[Peer, Peer]]:
    """A client that has joined, and the link of the agent that has answered, both linked.

    `agent`: the link that gets the call. `kinds`: those of the client and of the agent.
    """
    with join(reflector, session, kinds[0]) as client, answer(reflector, session, called(agent), kinds[1]) as link:
        client.linked()
        link.expect(TEXT, LINKUP)
        yield client, link


def refused(reflector: Reflector, head: bytes) -> tuple[int, str]:
    """The status and the words with which a request is refused."""
    answer = reflector.ask(head)
    return answer.status, answer.rest.decode().strip()


def shown(reflector: Reflector, session: str) -> int:
    """How many legs of a session the reflector shows; 0 if it has no such session."""
    entries = reflector.get("/sessions").json()["sessions"]
    return next((int(entry["legs"]) for entry in entries if entry["id"] == session), 0)

"""npm `watershed`, the original system's own websocket library, as client and as agent of a real reflector.

Both copies that scripts/setup installs: the one inside npm `manta`, whose masking key is always zero, and the latest.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import queue
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.kinds import Relay
from tests.interop.pairs import attached, linkup, new_session
from tests.waiting import PATIENCE

SCRIPT = Path(__file__).with_name("watershed_peer.js")
MODULES = Path(sys.prefix) / "node_modules"
ZERO_KEY = "00000000"

pytestmark = pytest.mark.skipif(
    not (shutil.which("node") and (MODULES / "manta").is_dir() and (MODULES / "watershed").is_dir()),
    reason="needs node, and npm manta and watershed in node_modules of the virtual environment",
)

both_copies = pytest.mark.parametrize("copy", ["manta", "watershed"])
both_sides = pytest.mark.parametrize("route", ["master", "slave"])

Event = dict[str, Any]


class Peer:
    """A node process that holds one side of a session."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._events: queue.Queue[Event] = queue.Queue()
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._events.put(json.loads(line))

    def next(self, kind: str) -> Event:
        """The next event, which must be of this kind."""
        event = self._events.get(timeout=PATIENCE)
        assert event["event"] == kind, event
        return event

    def order(self, **order: Any) -> list[dict[str, Any]]:
        """Has it send something; returns the writes that this took."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        writes: list[dict[str, Any]] = self.next("wrote")["writes"]
        return writes

    def kill(self) -> None:
        """Ends it as a crash would, without a word to the other side."""
        self._process.kill()


@contextlib.contextmanager
def watershed(relay: Relay, session: str, route: str, copy: str) -> Iterator[Peer]:
    """A watershed peer that attached to one route of a session, or was refused."""
    command = ["node", "--no-deprecation", str(SCRIPT), copy, str(relay.port), f"/attach/{session}/{route}"]
    environ = {**os.environ, "NODE_PATH": str(MODULES)}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8", env=environ
    ) as process:
        peer = Peer(process)
        try:
            yield peer
        finally:
            process.kill()
            peer.reader.join(PATIENCE)


@contextlib.contextmanager
def watershed_pair(relay: Relay, copy: str) -> Iterator[tuple[Peer, Peer]]:
    """Client and agent, both past linkup."""
    session = new_session()
    with watershed(relay, session, "master", copy) as client:
        client.next("ready")
        with watershed(relay, session, "slave", copy) as agent:
            agent.next("ready")
            linkup(lambda: client.next("text")["text"])
            linkup(lambda: agent.next("text")["text"])
            yield client, agent


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


@both_copies
def test_messages_pass_both_ways(reflector: Relay, copy: str) -> None:
    payloads = [b"", b"x", bytes(range(256)), os.urandom(65536), os.urandom(70000), os.urandom(1 << 20)]
    with watershed_pair(reflector, copy) as ends:
        for source, sink in (ends, ends[::-1]):
            source.order(text='mlogin:{"type":"start"} é€😀')
            assert sink.next("text")["text"] == 'mlogin:{"type":"start"} é€😀'
            for data in payloads:
                source.order(binary=encoded(data))
                assert base64.b64decode(sink.next("binary")["binary"]) == data


@both_sides
def test_the_original_sends_a_key_of_zeros_and_three_writes_a_frame(reflector: Relay, route: str) -> None:
    session, payload = new_session(), os.urandom(300)
    with contextlib.ExitStack() as stack:
        if route == "master":
            peer = stack.enter_context(watershed(reflector, session, route, "manta"))
            headers = peer.next("ready")["headers"]
            other = stack.enter_context(attached(reflector, session, "slave"))
        else:
            other = stack.enter_context(attached(reflector, session, "master"))
            peer = stack.enter_context(watershed(reflector, session, route, "manta"))
            headers = peer.next("ready")["headers"]
        assert headers[headers.index("Connection") + 1] == "Upgrade"
        linkup(lambda: peer.next("text")["text"])
        linkup(lambda: other.recv(timeout=PATIENCE))
        writes = peer.order(binary=encoded(payload))
        assert [write["size"] for write in writes] == [4, 4, 300]
        assert writes[1]["start"] == ZERO_KEY
        assert other.recv(timeout=PATIENCE) == payload
        # What is fragmented would make it close: the reflector must have put it together.
        other.send(iter([b"one ", b"", b"message"]))
        assert base64.b64decode(peer.next("binary")["binary"]) == b"one message"


@both_copies
@both_sides
def test_a_close_reaches_the_other_side_with_its_reason(reflector: Relay, copy: str, route: str) -> None:
    with watershed_pair(reflector, copy) as (client, agent):
        closer, other = (client, agent) if route == "master" else (agent, client)
        closer.order(end="done")
        for peer, reason in ((other, "done"), (closer, None)):
            end = peer.next("end")
            assert end["code"] == "NORMAL"
            assert reason is None or end["reason"] == reason


@both_copies
@pytest.mark.parametrize(
    ("route", "reason"), [("master", "remote connection reset"), ("slave", "remote connection error")]
)
def test_a_killed_side_is_a_close_at_the_other(reflector: Relay, copy: str, route: str, reason: str) -> None:
    with watershed_pair(reflector, copy) as (client, agent):
        killed, other = (client, agent) if route == "master" else (agent, client)
        killed.kill()
        assert other.next("end") == {"event": "end", "code": "NORMAL", "reason": reason}


def test_an_agent_without_a_client_is_refused(reflector: Relay) -> None:
    with watershed(reflector, new_session(), "slave", "manta") as agent:
        assert agent.next("refused")["status"] == 404

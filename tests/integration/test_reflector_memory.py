"""What peers make a reflector hold: unfinished messages and unread bytes, how much of them and for how long."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import pytest

from tests import rawpeers
from tests.frames import raw_frame
from tests.links import CERTIFICATE
from tests.peers import BINARY, CONTINUATION, TEXT, Peer, frame
from tests.reflectors import Reflector, new_id, running
from tests.signing import Key, allow, attach_path, signed_request
from tests.waiting import MS, Deadline, wait_until
from tests.witnesses import Witness

HOST = "medusa.example"
MIB = 1 << 20
TLS = ["--tls-cert", str(CERTIFICATE), "--tls-key", str(CERTIFICATE)]
SMALL = ["--max-message", str(MIB), "--max-held", str(8 * MIB)]
"""The least: 1 MiB for each login."""


QUICK = {"close_timeout": 0.2}


def begin(peer: Peer, size: int, opcode: int = BINARY) -> None:
    """A message that the peer does not finish."""
    peer.send(frame(opcode, bytes(size), fin=False))


def held(reflector: Reflector) -> int:
    """As /metrics shows it."""
    found = re.search(r"^medusa_held_bytes (\S+)$", reflector.get("/metrics").rest.decode(), re.MULTILINE)
    assert found
    return int(float(found[1]))


@pytest.mark.parametrize("entrance", [[], TLS, [*TLS, "--workers", "2"]])
def test_one_account_cannot_make_it_hold_all(tmp_path: Path, entrance: list[str]) -> None:
    key = Key("ed25519")
    for login in ("alice", "bob"):
        allow(tmp_path, login, key)
    with running("--accounts", str(tmp_path), *SMALL, *entrance) as reflector, contextlib.ExitStack() as stack:
        workers = 2 if "2" in entrance else 1

        def pair(login: str) -> tuple[Peer, Peer]:
            session = new_id()
            requests = [
                signed_request(key, login, attach_path(login, session, role), HOST) for role in ("master", "slave")
            ]
            client = stack.enter_context(reflector.enter(requests[0]))
            wait_until(lambda: reflector.states().get(session) == "slave_wait")
            agent = stack.enter_context(reflector.enter(requests[1]))
            client.linked()
            agent.word()
            return client, agent

        bobs = pair("bob")
        alices = [pair("alice") for _ in range(6 * workers)]
        for client, _ in alices:
            begin(client, MIB // 2)
        refused = [peers for peers in alices if not peers[1].quiet(0.3)]
        assert len(refused) >= 2 * workers
        code, words = refused[0][0].closed()
        assert code == 1009
        assert words.endswith("(--max-held-per-login)")
        assert held(reflector) <= workers * MIB
        Witness(*bobs).check()
        begin(bobs[0], MIB // 2)
        bobs[0].send(frame(CONTINUATION, b"."))
        assert bobs[1].frame().payload == bytes(MIB // 2) + b"."
        for peers in alices:
            for peer in peers:
                peer.close()
        wait_until(lambda: held(reflector) == 0, "all to be given back")


def test_many_large_messages_at_once() -> None:
    begun = frame(BINARY, bytes(15 * MIB), fin=False)
    with running(timeouts=QUICK) as reflector, contextlib.ExitStack() as stack:
        witness = Witness(*stack.enter_context(reflector.pair()))
        pairs = [stack.enter_context(reflector.pair()) for _ in range(12)]
        with reflector.memory_grows_less_than(80 * MIB):
            for client, _ in pairs:
                with contextlib.suppress(OSError):  # it may be refused while it still sends
                    client.send(begun)
            wait_until(lambda: len(reflector.sessions()) <= 3, "the end of those that ask for too much")
        witness.check()


def test_readers_that_stop_hold_little_and_are_not_harmed() -> None:
    """Each direction goes on as far as it is read, and what waits is passed on whole."""
    with running(*SMALL) as reflector, contextlib.ExitStack() as stack:
        pairs = [stack.enter_context(reflector.pair()) for _ in range(8)]
        data = frame(BINARY, bytes(range(256)) * 128)
        sent = [0] * len(pairs)
        for at, (_, agent) in enumerate(pairs):
            while agent.writable(50 * MS):
                agent.send(data)
                sent[at] += 1
        assert 0 < held(reflector) < 2 * MIB
        for at, (client, _) in enumerate(pairs):
            for _ in range(sent[at]):
                client.expect(BINARY, bytes(range(256)) * 128)
        wait_until(lambda: held(reflector) == 0, "all to be given back")
        Witness(*pairs[0]).check()


def test_heads_and_greetings_that_do_not_end_are_counted() -> None:
    head = b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 7000
    with running("--raw-port", "0") as reflector:
        with reflector.open(head), rawpeers.connect(reflector, b"ATTACH " + b"x" * 7000):
            wait_until(lambda: held(reflector) > 15_000, "both to be counted")
        wait_until(lambda: held(reflector) == 0, "all to be given back")


class TestDeadline:
    def test_a_byte_now_and_then_does_not_move_it(self) -> None:
        text = "a message was not finished in time"
        starts = {
            "fragment": (frame(TEXT, b"x", fin=False), "websocket"),
            "frame": (frame(BINARY, bytes(99_999))[:-9999], "websocket"),
            "header": (b"\x82", "websocket"),
            "raw frame": (raw_frame(BINARY, bytes(1000))[:-900], "framed"),
        }
        options = ["--message-timeout", "1", "--raw-port", "0"]
        with running(*options, timeouts=QUICK) as reflector, contextlib.ExitStack() as stack:
            sessions = {what: new_id() for what in starts}
            clients = {
                what: stack.enter_context(rawpeers.pair(reflector, kind, "websocket", sessions[what]))[0]
                for what, (_, kind) in starts.items()
            }
            for what, (data, _) in starts.items():
                clients[what].send(data)
            with clients["fragment"].breathing():
                assert {what: client.closed() for what, client in clients.items()} == dict.fromkeys(
                    starts, (1008, text)
                )
            for session in sessions.values():
                record = reflector.ended(session)
                assert (record["outcome"], record["reason"]) == ("ended", "client: " + text)

    def test_slow_but_steady(self) -> None:
        with running("--message-timeout", "1") as reflector, reflector.pair() as (client, agent):
            begin(client, 1)
            end = Deadline(2.5)
            size = 1
            while not end.passed:
                client.send(frame(CONTINUATION, bytes(400), fin=False))
                size += 400
                assert client.quiet(0.1)
            client.send(frame(CONTINUATION, b"."))
            assert agent.frame().payload == bytes(size) + b"."

"""The raw port's first line: who is let in, and what everybody else is told."""

from __future__ import annotations

import subprocess

import pytest

from tests.peers import BINARY, frame
from tests.rawpeers import connect, framed, linked, plain
from tests.reflectors import Reflector, command, new_id
from tests.waiting import PATIENCE, wait_until

FORMS = b"say MEDUSA/1 TARGET HOST, or ATTACH ID client|agent, as the first line"


REFLECTOR_OPTIONS = ("--raw-port", "0")


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"hello\r\n", b"ERR 400 not a greeting; " + FORMS),
        (b"MEDUSA/1 /attach/x/slave h\n", b"ERR 404 there is no such session"),
        (b"MEDUSA/1 /status h\n", b"ERR 404 there is nothing at this path"),
        (b"ATTACH x agent h/attach/y/slave\n", b"ERR 400 the pre-signed URL is for another session or another side"),
        (b"x" * 8193, b"ERR 400 first line above 8192 bytes; " + FORMS),
        (b"\x16\x03\x01\x02\x00\x01", b"ERR 400 TLS is not spoken on the raw port; " + FORMS),
    ],
)
def test_one_line_then_a_fin_and_a_line_in_the_log(reflector: Reflector, data: bytes, line: bytes) -> None:
    before = len(reflector.logged("greeting refused"))
    with connect(reflector, data) as peer:
        assert peer.refused().startswith(line)
    (entry,) = wait_until(lambda: reflector.logged("greeting refused")[before:], "a refusal in the log")
    assert line.startswith(b"ERR %d %s" % (entry["status"], entry["reason"][:20].encode()))


def test_a_greeting_on_the_http_port(reflector: Reflector) -> None:
    with reflector.open() as peer:
        for byte in b"ATTACH ":
            peer.send(bytes((byte,)))
        answer = peer.answer()
    words = b"HTTP is spoken here, not raw TCP: that has a port of its own, --raw-port\n"
    assert (answer.status, answer.rest) == (400, words)


def test_an_id_is_taken_once(reflector: Reflector) -> None:
    session = new_id()
    with plain(reflector, session, "client") as client:
        assert client.line() == b"OK waiting"
        with plain(reflector, session, "client") as second:
            assert second.refused() == b"ERR 409 the session has a client already"
        with plain(reflector, session.upper(), "agent") as agent:
            linked(agent)
            assert client.line() == b"OK linked"
            with plain(reflector, session, "agent") as second:
                assert second.refused() == b"ERR 409 the session has an agent already, or is closing"


def test_a_port_that_cannot_be_had(reflector: Reflector) -> None:
    arguments = ["--port", "0", "--raw-port", str(reflector.raw_port)]
    run = subprocess.run(command(arguments), capture_output=True, text=True, timeout=PATIENCE)
    assert (run.returncode, run.stdout) == (1, "")
    assert "give another --raw-port, or 0" in run.stderr


def test_frames_right_behind_the_greeting(reflector: Reflector) -> None:
    session = new_id()
    with reflector.attach(session, "master") as client:
        wait_until(lambda: reflector.states().get(session) == "slave_wait")
        early = bytes.fromhex("1200000000000005") + b"early"
        with framed(reflector, session, "agent", early) as agent:
            linked(client)
            linked(agent)
            client.expect(BINARY, b"early")
            client.send(frame(BINARY, b"back"))
            agent.expect(BINARY, b"back")

"""The raw port's first line: who is let in, and what everybody else is told."""

from __future__ import annotations

import subprocess

import pytest

from tests.links import CERTIFICATE, client_context
from tests.peers import BINARY, frame
from tests.rawpeers import connect, framed, linked, plain
from tests.reflectors import Reflector, command, new_id, running
from tests.waiting import wait_until

FORMS = b"say MEDUSA/1 TARGET HOST, or ATTACH ID client|agent, as the first line"


REFLECTOR_OPTIONS = ("--raw-port", "0")


def refusals(reflector: Reflector, before: int, component: str = "raw") -> list[tuple[int, str]]:
    """Those that were logged since there were `before` of them."""
    msg = {"raw": "greeting refused", "http": "request refused"}[component]
    entries = wait_until(lambda: reflector.logged(msg)[before:], "a refusal in the log")
    return [(entry["status"], entry["reason"]) for entry in entries]


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"\n", b"ERR 400 not a greeting; " + FORMS),
        (b"hello\r\n", b"ERR 400 not a greeting; " + FORMS),
        (b"SSH-2.0-OpenSSH_9.2\r\n", b"ERR 400 not a greeting; " + FORMS),
        (b"MEDUSA/2 /attach/x/slave h\n", b"ERR 400 version 1 is spoken here"),
        (b"MEDUSA/1 /attach/x/slave h\n", b"ERR 404 there is no such session"),
        (b"MEDUSA/1 /attach/%00/slave h\n", b"ERR 400 bad session id"),
        (b"MEDUSA/1 /status h\n", b"ERR 404 there is nothing at this path"),
        (
            b"MEDUSA/1 /jill/medusa/attach/x/slave h\n",
            b"ERR 404 this reflector has no accounts: attach without one, or",
        ),
        (b"ATTACH x agent\n", b"ERR 404 there is no such session"),
        (b"ATTACH ~x client\n", b"ERR 400 bad session id"),
        (b"ATTACH x agent nonsense\n", b"ERR 400 the token is not a pre-signed URL"),
        (b"ATTACH x agent h/attach/y/slave\n", b"ERR 400 the pre-signed URL is for another session or another side"),
        (b"ATTACH x agent h/attach/x/master\n", b"ERR 400 the pre-signed URL is for another session or another side"),
        (b"x" * 8193, b"ERR 400 first line above 8192 bytes; " + FORMS),
        (bytes(100_000) + b"\n", b"ERR 400 first line above 8192 bytes; " + FORMS),
        (b"\x16\x03\x01\x02\x00\x01", b"ERR 400 TLS is not spoken on the raw port; " + FORMS),
    ],
)
def test_one_line_then_a_fin_and_a_line_in_the_log(reflector: Reflector, data: bytes, line: bytes) -> None:
    before = len(reflector.logged("greeting refused"))
    with connect(reflector, data) as peer:
        assert peer.refused().startswith(line)
    ((status, reason),) = refusals(reflector, before)
    assert line.startswith(b"ERR %d %s" % (status, reason[:20].encode()))


def test_a_line_that_comes_byte_by_byte(reflector: Reflector) -> None:
    with connect(reflector) as peer:
        for byte in b"ATTACH x agent\r\n":
            peer.send(bytes((byte,)))
        assert peer.refused() == b"ERR 404 there is no such session"


def test_a_line_without_an_end(reflector: Reflector) -> None:
    with connect(reflector, b"ATTACH x agent") as peer:
        peer.fin()
        assert peer.refused() == b"ERR 400 the first line has no end; " + FORMS


def test_who_looks_whether_the_port_is_open_is_no_news(reflector: Reflector) -> None:
    before = len(reflector.logged("greeting refused"))
    with connect(reflector) as peer:
        peer.fin()
        assert peer.until_fin() == b""
    with connect(reflector, b"last\n") as peer:
        peer.until_fin()
    assert len(refusals(reflector, before)) == 1


def test_silence_is_answered_in_the_end() -> None:
    timeouts = {"head_timeout": 0.3}
    with running("--raw-port", "0", timeouts=timeouts) as reflector:
        for data in (b"", b"ATTACH x cl"):
            with connect(reflector, data) as peer:
                assert peer.refused().startswith(b"ERR 408 no greeting in 0.3 s; say ")
        assert [status for status, _ in refusals(reflector, 0)] == [408, 408]


@pytest.mark.parametrize("request_line", [b"GET / HTTP/1.1", b"POST /attach/x/slave HTTP/1.0"])
def test_http_is_answered_in_its_own_words(reflector: Reflector, request_line: bytes) -> None:
    with connect(reflector, request_line + b"\r\nHost: x\r\n\r\n") as peer:
        answer = peer.answer()
    assert answer.status == 400
    assert answer.rest == b"this is the raw port, and HTTP is not spoken here; " + FORMS + b"\n"


@pytest.mark.parametrize("line", [b"ATTACH x client\n", b"MEDUSA/1 /attach/x/slave h\n"])
@pytest.mark.parametrize("step", [1, 100])
def test_a_greeting_on_the_http_port(reflector: Reflector, line: bytes, step: int) -> None:
    before = len(reflector.logged("request refused"))
    with reflector.open() as peer:
        for at in range(0, 7, step):
            peer.send(line[at : at + step])
        answer = peer.answer()
    words = "HTTP is spoken here, not raw TCP: that has a port of its own, --raw-port"
    assert (answer.status, answer.rest) == (400, words.encode() + b"\n")
    assert refusals(reflector, before, "http") == [(400, words)]


def test_a_greeting_on_a_port_of_https() -> None:
    with running("--tls-cert", str(CERTIFICATE), "--tls-key", str(CERTIFICATE), "--raw-port", "0") as reflector:
        with connect(reflector, b"ATTACH x client\n", reflector.port) as peer:
            assert b"https is spoken here, and this was not" in peer.until_fin()
        with reflector.open(b"ATTACH x client\n") as secure:
            assert b"HTTP is spoken here, not raw TCP" in secure.answer().rest
        with connect(reflector) as peer:  # and TLS for real
            tls = client_context()
            with pytest.raises(OSError, match=r"(?i)ssl|reset|version"):
                tls.wrap_socket(peer.sock, server_hostname="localhost").close()


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
    for port, words in (
        (str(reflector.raw_port), "give another --raw-port, or 0"),
        ("70000", "raw-port: 70000 is not"),
    ):
        run = subprocess.run(command(["--port", "0", "--raw-port", port]), capture_output=True, text=True, timeout=60)
        assert (run.returncode, run.stdout) == (1, "")
        assert words in run.stderr


def test_without_the_option_there_is_no_such_port() -> None:
    with running() as reflector:
        assert reflector.raw_port == 0


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

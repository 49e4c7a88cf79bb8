"""Proofs of requests between reflectors: of one use, of now, and of all that they cover."""

from __future__ import annotations

from pathlib import Path

import pytest

from medusa.reflector.auth.single_use import ReservedMark
from medusa.reflector.cluster.peer_auth import BadProof, Origin, PeerAuth, load_secret
from medusa.reflector.config import ConfigError
from tests.waiting import Clock

SECRET = b"a secret of a site"
HEAD = b"GET /attach/x/slave HTTP/1.1\r\nHost: h"
TARGET = "/~carried/attach/x/slave"
ORIGIN = Origin("http", "2001:db8::1", 5)
OWNER = "http://127.0.0.1:1"
RESERVED = ReservedMark("ab" * 32, "cd" * 16, 2000)


@pytest.mark.parametrize("reserved", [RESERVED, None])
@pytest.mark.parametrize("origin", [ORIGIN, Origin("raw", "127.0.0.1", 65535), Origin("http", "fe80::1%eth0.5", 5)])
def test_the_origin_of_a_forwarded_connection(clock: Clock, origin: Origin, reserved: ReservedMark | None) -> None:
    value = PeerAuth(SECRET, clock).sign_forward(TARGET, HEAD, origin, OWNER, reserved)
    site = PeerAuth(SECRET, clock)
    assert site.read_forward(value) == (origin, reserved)
    site.check_forward(value, TARGET, HEAD, OWNER)


def test_an_agent_with_a_leg_needs_no_ticket_and_an_older_reflector_refuses_it(clock: Clock) -> None:
    site = PeerAuth(SECRET, clock)
    value = site.sign_forward(TARGET, HEAD, ORIGIN, OWNER, None, by_leg=True)
    assert value.split()[6] == "leg"
    assert site.read_forward(value) == (ORIGIN, None)
    site.check_forward(value, TARGET, HEAD, OWNER)


def test_every_field_is_covered(clock: Clock) -> None:
    value = PeerAuth(SECRET, clock).sign_forward(TARGET, HEAD, ORIGIN, OWNER, RESERVED)
    for at, character in enumerate(value):
        if character != " ":
            changed = value[:at] + ("1" if character != "1" else "2") + value[at + 1 :]
            with pytest.raises(BadProof):
                PeerAuth(SECRET, clock).check_forward(changed, TARGET, HEAD, OWNER)
    others = [(TARGET, HEAD + b"x", OWNER), (TARGET + "x", HEAD, OWNER), (TARGET, HEAD, "http://127.0.0.1:2")]
    for target, head, owner in (*others, (TARGET, OWNER.encode(), HEAD.decode())):
        with pytest.raises(BadProof, match="or for another reflector"):
            PeerAuth(SECRET, clock).check_forward(value, target, head, owner)
    with pytest.raises(BadProof, match="without this site's secret"):
        PeerAuth(SECRET + b"x", clock).check_forward(value, TARGET, HEAD, OWNER)


@pytest.mark.parametrize("value", ["", "1", "1 2 3 4 5 6", "\u0661 x", "1  a"])
def test_another_form(value: str) -> None:
    with pytest.raises(BadProof, match="not of the form"):
        PeerAuth(SECRET).check_forward(value, TARGET, HEAD, OWNER)


def test_a_proof_is_good_once_and_for_a_minute(clock: Clock) -> None:
    site = PeerAuth(SECRET, clock)
    value = site.sign_forward(TARGET, HEAD, ORIGIN, OWNER, RESERVED)
    for later in (0.0, 59.0, 60.0, 61.0, 3600.0):
        clock.now = 1000.0 + later
        if not later:
            site.check_forward(value, TARGET, HEAD, OWNER)
        with pytest.raises(BadProof):
            site.check_forward(value, TARGET, HEAD, OWNER)
    clock.now = 1000.0 - 61
    with pytest.raises(BadProof, match="set the clocks"):
        PeerAuth(SECRET, clock).check_forward(value, TARGET, HEAD, OWNER)


def test_a_secret_in_a_private_file(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(b"\n" + SECRET + b"\n")
    file.chmod(0o600)
    assert load_secret(str(file)) == SECRET
    file.chmod(0o640)
    with pytest.raises(ConfigError, match="make its mode 600"):
        load_secret(str(file))


@pytest.mark.parametrize("content", [b"", b"fifteen bytes..", b" " * 100])
def test_a_secret_that_is_too_short(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "secret"
    file.write_bytes(content)
    file.chmod(0o600)
    with pytest.raises(ConfigError, match="less than 16 bytes"):
        load_secret(str(file))


def test_no_secret(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load_secret(str(tmp_path / "none"))


class TestQuestions:
    """A reflector's own."""

    def test_its_nonce_is_returned(self, clock: Clock) -> None:
        value = PeerAuth(SECRET, clock).sign_question("GET", TARGET, OWNER)
        site = PeerAuth(SECRET, clock)
        assert site.check_question(value, "GET", TARGET, OWNER) in value

    def test_all_of_it_is_covered(self, clock: Clock) -> None:
        value = PeerAuth(SECRET, clock).sign_question("GET", TARGET, OWNER)
        for at, character in enumerate(value):
            changed = value[:at] + ("1" if character != "1" else "2") + value[at + 1 :]
            with pytest.raises(BadProof):
                PeerAuth(SECRET, clock).check_question(changed, "GET", TARGET, OWNER)
        for asked in (("DELETE", TARGET, OWNER), ("GET", TARGET + "x", OWNER), ("GET", TARGET, "http://x:1")):
            with pytest.raises(BadProof, match="without this site's secret"):
                PeerAuth(SECRET, clock).check_question(value, *asked)

    def test_a_question_forwards_nobody(self, clock: Clock) -> None:
        site = PeerAuth(SECRET, clock)
        with pytest.raises(BadProof, match="not of the form"):
            site.check_forward(site.sign_question("GET", TARGET, OWNER), TARGET, OWNER.encode(), OWNER)
        with pytest.raises(BadProof, match="not of the form"):
            site.check_question(site.sign_forward(TARGET, HEAD, ORIGIN, OWNER, RESERVED), "GET", TARGET, OWNER)

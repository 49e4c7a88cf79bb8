from __future__ import annotations

from pathlib import Path

import pytest

from medusa.reflector.cluster.peer_auth import Forged, Note, Site, load_secret
from medusa.reflector.config import ConfigError

SECRET = b"a secret of a site"
HEAD = b"GET /attach/x/slave HTTP/1.1\r\nHost: h"
TARGET = "/~carried/attach/x/slave"
NOTE = Note("http", "2001:db8::1", 5)


class Clock:
    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.mark.parametrize("note", [NOTE, Note("raw", "127.0.0.1", 65535)])
def test_who_is_carried(clock: Clock, note: Note) -> None:
    value = Site(SECRET, clock).sign(TARGET, HEAD, note)
    site = Site(SECRET, clock)
    assert site.read(value) == note
    site.check(value, TARGET, HEAD)


def test_every_field_is_covered(clock: Clock) -> None:
    value = Site(SECRET, clock).sign(TARGET, HEAD, NOTE)
    for at, character in enumerate(value):
        if character != " ":
            changed = value[:at] + ("1" if character != "1" else "2") + value[at + 1 :]
            with pytest.raises(Forged):
                Site(SECRET, clock).check(changed, TARGET, HEAD)
    for target, head in ((TARGET, HEAD + b"x"), (TARGET + "x", HEAD), (TARGET, TARGET.encode())):
        with pytest.raises(Forged):
            Site(SECRET, clock).check(value, target, head)
    with pytest.raises(Forged, match="without this site's secret"):
        Site(SECRET + b"x", clock).check(value, TARGET, HEAD)


@pytest.mark.parametrize("value", ["", "1", "1 2 3 4 5 6", "\u0661 x", "1  a"])
def test_what_is_not_of_the_form(value: str) -> None:
    with pytest.raises(Forged, match="not of the form"):
        Site(SECRET).check(value, TARGET, HEAD)


def test_is_good_once_for_as_long_as_it_is_good(clock: Clock) -> None:
    site = Site(SECRET, clock)
    value = site.sign(TARGET, HEAD, NOTE)
    for later in (0.0, 59.0, 60.0, 61.0, 3600.0):
        clock.now = Clock.now + later
        if not later:
            site.check(value, TARGET, HEAD)
        with pytest.raises(Forged):
            site.check(value, TARGET, HEAD)
    clock.now = Clock.now - 61
    with pytest.raises(Forged, match="set the clocks"):
        Site(SECRET, clock).check(value, TARGET, HEAD)


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
    """Of a reflector's own."""

    OWNER = "http://127.0.0.1:1"

    def test_one(self, clock: Clock) -> None:
        value = Site(SECRET, clock).sign_question("GET", TARGET, self.OWNER)
        site = Site(SECRET, clock)
        assert site.check_question(value, "GET", TARGET, self.OWNER) in value
        with pytest.raises(Forged, match="used before"):
            site.check_question(value, "GET", TARGET, self.OWNER)

    def test_all_of_it_is_covered(self, clock: Clock) -> None:
        value = Site(SECRET, clock).sign_question("GET", TARGET, self.OWNER)
        for at, character in enumerate(value):
            changed = value[:at] + ("1" if character != "1" else "2") + value[at + 1 :]
            with pytest.raises(Forged):
                Site(SECRET, clock).check_question(changed, "GET", TARGET, self.OWNER)
        for asked in (("DELETE", TARGET, self.OWNER), ("GET", TARGET + "x", self.OWNER), ("GET", TARGET, "http://x:1")):
            with pytest.raises(Forged, match="without this site's secret"):
                Site(SECRET, clock).check_question(value, *asked)

    def test_a_question_carries_nobody(self, clock: Clock) -> None:
        site = Site(SECRET, clock)
        with pytest.raises(Forged, match="not of the form"):
            site.check(site.sign_question("GET", TARGET, self.OWNER), TARGET, self.OWNER.encode())
        with pytest.raises(Forged, match="not of the form"):
            site.check_question(site.sign(TARGET, HEAD, NOTE), "GET", TARGET, self.OWNER)

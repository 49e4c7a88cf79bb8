"""The edges of time, and what is remembered. What a forger can try is in tests/integration/test_forged_requests.py."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from medusa.protocol.http.head import Request, parse_request
from medusa.reflector.auth.accounts import Accounts
from medusa.reflector.auth.authenticator import Authenticator
from medusa.reflector.auth.replay_cache import ReplayCache
from medusa.reflector.config import ReflectorConfig
from medusa.reflector.refusal import Refusal
from medusa.reflector.session_name import SessionName
from medusa.session import Side
from tests.peers import upgrade
from tests.signing import Key, allow, attach_path, signed_request, signed_target
from tests.unit.reflector.conftest import refused
from tests.waiting import Clock

HOST = "h"
NAME = SessionName("id", "alice")
PATH = attach_path("alice", "id", "slave")


@pytest.fixture
def clock() -> Clock:
    return Clock(float(int(time.time())))


@pytest.fixture
def door(tmp_path: Path, key: Key, clock: Clock) -> Authenticator:
    allow(tmp_path, "alice", key)
    return Authenticator(ReflectorConfig(max_url_lifetime=600), Accounts(str(tmp_path)), clock)


def parsed(data: bytes) -> Request:
    return parse_request(data.removesuffix(b"\r\n\r\n"))


def by_url(key: Key, expires: float) -> Request:
    return parsed(upgrade(signed_target(key, "alice", PATH, HOST, int(expires)), host=HOST))


@pytest.mark.parametrize(("left", "good"), [(-61, False), (-60, True), (0, True), (660, True), (661, False)])
def test_expires_has_a_skew_either_way(door: Authenticator, key: Key, clock: Clock, left: int, good: bool) -> None:
    request = by_url(key, clock.now + left)
    if good:
        assert door.check(request, NAME, Side.AGENT).until == clock.now + left + 60
    else:
        with pytest.raises(Refusal):
            door.check(request, NAME, Side.AGENT)


@pytest.mark.parametrize(("off", "good"), [(-301, False), (-300, True), (300, True), (301, False)])
def test_so_has_the_date(door: Authenticator, key: Key, clock: Clock, off: int, good: bool) -> None:
    request = parsed(signed_request(key, "alice", PATH, HOST))
    date = door.check(request, NAME, Side.AGENT).until - 300
    clock.now = date - off
    if good:
        door.check(request, NAME, Side.AGENT)
    else:
        with refused(403, re.escape(f"{off:+d} s off")):
            door.check(request, NAME, Side.AGENT)


def test_what_was_used_is_remembered_as_long_as_it_could_be_used_again(
    door: Authenticator, key: Key, clock: Clock
) -> None:
    request = by_url(key, clock.now + 300)
    grant = door.check(request, NAME, Side.AGENT)
    door.nonces.use(grant.digest, grant.until)
    for later in (0, 359):
        clock.now += later
        with pytest.raises(Refusal, match="used before"):
            door.check(request, NAME, Side.AGENT)
    door.nonces.give_back(grant.digest)
    door.check(request, NAME, Side.AGENT)
    clock.now += 2
    with pytest.raises(Refusal, match="expired"):
        door.check(request, NAME, Side.AGENT)


def test_one_signed_text_is_good_once_whatever_names_its_key_and_however_it_is_signed(tmp_path: Path) -> None:
    """No signature covers the header's keyId, and each signing by ECDSA gives another signature."""
    key, expires = Key("ecdsa256"), int(time.time()) + 300
    allow(tmp_path, "alice", key)
    allow(tmp_path, "alice", key, user="guest")
    door = Authenticator(ReflectorConfig(), Accounts(str(tmp_path)))
    header = signed_request(key, "alice", PATH, HOST)
    names = (f"alice/keys/{key.md5}", f"alice/keys/{key.sha256}", f"alice/guest/keys/{key.md5}")
    headers = [header.replace(names[0].encode(), name.encode()) for name in names]
    urls = [upgrade(signed_target(key, "alice", PATH, HOST, expires), host=HOST) for _ in range(2)]
    for requests in (headers, urls):
        assert len(set(requests)) == len(requests)
        assert len({door.check(parsed(request), NAME, Side.AGENT).digest for request in requests}) == 1


def test_a_peer_that_is_denied_with_401_is_told_how_to_sign(door: Authenticator) -> None:
    with pytest.raises(Refusal) as caught:
        door.check(parsed(upgrade(PATH)), NAME, Side.AGENT)
    expected = ("WWW-Authenticate", 'Signature realm="medusa",headers="(request-target) host date"')
    assert (caught.value.status, caught.value.headers) == (401, [expected])


def test_nonces_do_not_pile_up(clock: Clock) -> None:
    nonces = ReplayCache(clock)
    for number in range(1000):
        nonces.use(number.to_bytes(2, "big"), clock.now + 10)
        clock.now += 1
    assert len(nonces) == 11
    assert nonces.used((999).to_bytes(2, "big"))
    assert not nonces.used((900).to_bytes(2, "big"))


def test_nor_does_one_that_comes_to_nothing_again_and_again(clock: Clock) -> None:
    nonces = ReplayCache(clock)
    for _ in range(1000):
        nonces.use(b"digest", clock.now + 10)
        nonces.give_back(b"digest")
        assert not nonces.used(b"digest")
    assert len(nonces) == 0
    nonces.use(b"digest", clock.now + 10)
    assert nonces.used(b"digest")
    clock.now += 11
    nonces.use(b"other", clock.now + 10)
    assert not nonces.used(b"digest")
    assert len(nonces) == 1


def test_signatures_that_were_given_back_leave_memory(clock: Clock) -> None:
    nonces = ReplayCache(clock)
    digests = [number.to_bytes(2, "big") for number in range(1000)]
    for digest in digests:
        nonces.use(digest, clock.now + 10)
    for digest in digests[1:]:
        nonces.give_back(digest)
    assert [sum(map(len, nonces._by_expiry.values())), len(nonces._expiries), len(nonces)] == [1, 1, 1]
    assert nonces.used(digests[0])


@pytest.mark.parametrize(
    ("owner", "changed", "status"),
    [
        ("alice", {}, None),
        ("alice/ci", {}, None),
        ("bob", {}, 404),
        ("alice", {"signature": "AAAA"}, 404),
        ("alice", {"algorithm": "rsa-sha1"}, 401),
    ],
)
def test_the_reader_of_its_own_list(
    door: Authenticator, key: Key, tmp_path: Path, owner: str, changed: dict[str, str], status: int | None
) -> None:
    allow(tmp_path, "bob", key)
    allow(tmp_path, "alice", key, user="ci")
    request = parsed(signed_request(key, owner, "/alice/medusa/sessions", HOST, 0, **changed))
    if status is None:
        for _ in range(2):
            assert str(door.check_reader(request, "alice").key_id).startswith(f"/{owner}/keys/")
    else:
        with refused(status):
            door.check_reader(request, "alice")


def test_a_list_is_not_for_a_signed_url(door: Authenticator, key: Key) -> None:
    target = signed_target(key, "alice", "/alice/medusa/sessions", HOST)
    with refused(401, "no query"):
        door.check_reader(parsed(upgrade(target, host=HOST)), "alice")

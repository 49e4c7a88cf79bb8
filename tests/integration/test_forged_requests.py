"""What must not get in. Each forgery differs in one point from a request that does; no signature gets into the log."""

from __future__ import annotations

import base64
import contextlib
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, unquote

import pytest

from tests.peers import upgrade
from tests.reflectors import Reflector, new_id, running
from tests.signing import STRONG, Key, allow, attach_path, authorization, date, signed_request, signed_target
from tests.waiting import wait_until

HOST = "medusa.example"


class Scene(NamedTuple):
    """alice's session waits for its agent, another of hers has one, bob has one that waits."""

    door: Reflector
    alice: Key
    bob: Key
    stranger: Key
    small: Key
    waits: str
    linked: str
    bobs: str
    used: bytes
    """The request by which the agent of `linked` came in."""

    def client(self, key: Key | None = None, session: str = "", **changed: str) -> bytes:
        """alice's request for a new session."""
        path = attach_path("alice", session or new_id(), "master")
        return signed_request(key or self.alice, "alice", path, HOST, 0, **changed)

    def dated(self, when: str) -> bytes:
        path = attach_path("alice", new_id(), "master")
        return upgrade(path, host=HOST, date=when, authorization=authorization(self.alice, "alice", path, HOST, when))

    def covering(self, *names: str) -> bytes:
        path, when = attach_path("alice", new_id(), "master"), date()
        signed = authorization(self.alice, "alice", path, HOST, when, names)
        return upgrade(path, host=HOST, date=when, authorization=signed)

    def target(self, key: Key | None = None, owner: str = "alice", **changed: str) -> str:
        """alice's pre-signed URL for the agent of `waits`."""
        path = attach_path("alice", self.waits, "slave")
        return signed_target(key or self.alice, owner, path, HOST, changed.pop("expires", None), **changed)

    def agent(self, target: str = "", host: str = HOST, **headers: str) -> bytes:
        return upgrade(target or self.target(), host=host, **headers)

    def expiring(self, expires: object) -> bytes:
        return self.agent(self.target(expires=str(expires)))


def changed(data: bytes, old: str, new: str) -> bytes:
    """`data` with its one `old` in place of `new`."""
    assert data.count(old.encode()) == 1, (data, old)
    return data.replace(old.encode(), new.encode())


def reordered(target: str) -> str:
    path, _, query = target.partition("?")
    first, second, *rest = query.split("&")
    return f"{path}?{'&'.join([second, first, *rest])}"


def flipped(target: str) -> str:
    """One bit of the signature is another."""
    head, _, tail = target.partition("&signature=")
    raw = bytearray(base64.b64decode(unquote(tail)))
    raw[-1] ^= 1
    return f"{head}&signature={quote(base64.b64encode(raw).decode(), safe='')}"


NOW = time.time

FORGERIES: dict[str, Callable[[Scene], bytes]] = {
    # Nobody, or somebody else.
    "nothing signed": lambda s: upgrade(attach_path("alice", s.waits, "slave"), host=HOST),
    "nothing signed, as client": lambda s: upgrade(attach_path("alice", new_id(), "master"), host=HOST),
    "a stranger's key under alice's name": lambda s: s.client(s.stranger, keyId=f"/alice/keys/{s.alice.md5}"),
    "a stranger's key": lambda s: s.client(s.stranger),
    "bob's key under alice's login": lambda s: s.client(s.bob),
    "bob's signature on alice's path": lambda s: s.client(s.bob, keyId=f"/bob/keys/{s.bob.md5}"),
    "bob's URL for alice's session": lambda s: s.agent(s.target(s.bob, owner="bob")),
    "bob's URL, alice's fingerprint": lambda s: s.agent(s.target(s.bob, keyId=f"/alice/keys/{s.alice.md5}")),
    "alice's key for bob's session": lambda s: s.agent(
        signed_target(s.alice, "alice", attach_path("bob", s.bobs, "slave"), HOST)
    ),
    "alice's key as bob": lambda s: s.agent(signed_target(s.alice, "bob", attach_path("bob", s.bobs, "slave"), HOST)),
    "bob's id under alice's login": lambda s: s.agent(
        signed_target(s.alice, "alice", attach_path("alice", s.bobs, "slave"), HOST)
    ),
    "an unknown login": lambda s: signed_request(s.alice, "mallory", attach_path("mallory", new_id(), "master"), HOST),
    "an unknown user of alice": lambda s: s.agent(s.target(owner="alice/mallory")),
    "a key too small to be taken": lambda s: s.client(s.small),
    "a fingerprint that leads elsewhere": lambda s: s.client(keyId="/alice/keys/../../bob"),
    "a login that leads elsewhere": lambda s: s.client(keyId=f"/../alice/keys/{s.alice.md5}"),
    # Time.
    "expired": lambda s: s.expiring(int(NOW()) - 61),
    "expires is no number": lambda s: s.expiring("soon"),
    "expires has a fraction": lambda s: s.expiring(f"{NOW() + 60:.1f}"),
    "expires in other digits": lambda s: s.expiring("\u0661\u0662"),
    "expires with a sign": lambda s: s.expiring(f"+{int(NOW()) + 60}"),
    "expires raised after signing": lambda s: s.agent(re.sub(r"expires=(\d+)", _later, s.target())),
    "a clock that is slow": lambda s: s.dated(date(-301)),
    "a Date that is none": lambda s: s.dated("yesterday"),
    "a Date of another zone": lambda s: s.dated(date().replace("GMT", "-0500")),
    "a Date that no calendar has": lambda s: s.dated("Sun, 31 Feb 2026 25:61:61 GMT"),
    "no Date at all": lambda s: re.sub(rb"date: [^\r]*\r\n", b"", s.client()),
    "two Dates": lambda s: changed(s.client(), "\r\n\r\n", f"\r\ndate: {date()}\r\n\r\n"),
    "the Date changed": lambda s: re.sub(rb"(?<=\r\ndate: )[^\r]*", date(-10).encode(), s.client()),
    # Tampered with.
    "another path": lambda s: changed(s.agent(), s.waits, s.bobs),
    "another session of hers": lambda s: changed(s.agent(), s.waits, s.linked),
    "the agent's URL for a client": lambda s: changed(s.agent(), "/slave?", "/master?"),
    "the agent's URL for a new client": lambda s: s.agent(
        s.target().replace("slave", "master").replace(s.waits, new_id())
    ),
    "the client's signature for an agent": lambda s: changed(s.client(session=s.waits), "/master HTTP", "/slave HTTP"),
    "another login in the path": lambda s: changed(s.agent(), "GET /alice/", "GET /bob/"),
    "another method than signed": lambda s: s.agent(s.target(verb="PUT")),
    "a method that is none": lambda s: s.agent(s.target().replace("&signature=", "&method=GET%2C%C4%80&signature=")),
    "a method list without GET": lambda s: s.agent(s.target(method="HEAD,PUT")),
    "signed for POST": lambda s: s.client(method="post"),
    "asked with POST": lambda s: changed(s.client(), "GET /", "POST /"),
    "asked with HEAD": lambda s: changed(s.agent(), "GET /", "HEAD /"),
    "the query reordered": lambda s: s.agent(reordered(s.target())),
    "a parameter added": lambda s: s.agent(s.target() + "&role=operator"),
    "a parameter added in front": lambda s: s.agent(s.target().replace("?", "?admin=1&")),
    "an unknown parameter, signed": lambda s: s.agent(s.target(admin="1")),
    "a doubled parameter": lambda s: s.agent(s.target() + f"&expires={int(NOW()) + 300}"),
    "a doubled signature": lambda s: s.agent(s.target() + "&signature=AAAA"),
    "another spelling of the query": lambda s: s.agent(s.target().replace("%2F", "%2f")),
    "a fragment": lambda s: s.agent(s.target() + "#x"),
    "no signature": lambda s: s.agent(s.target().partition("&signature=")[0]),
    "an empty signature": lambda s: s.agent(s.target().partition("&signature=")[0] + "&signature="),
    "a signature that is no base64": lambda s: s.agent(s.target().partition("&signature=")[0] + "&signature=%00%ff"),
    "one bit of the signature": lambda s: s.agent(flipped(s.target())),
    "another Host": lambda s: s.agent(host="evil.example"),
    "the Host with a port": lambda s: s.agent(host=HOST + ":8381"),
    "a signature for another host": lambda s: changed(s.client(), f"host: {HOST}\r\n", "host: evil.example\r\n"),
    # Algorithms.
    "an unknown algorithm": lambda s: s.client(algorithm="rsa-md5"),
    "no algorithm": lambda s: s.client(algorithm="none"),
    "an algorithm of another kind of key": lambda s: s.client(algorithm="ecdsa-sha256"),
    "a MAC with the public key as secret": lambda s: s.client(algorithm="hmac-sha256"),
    "SHA-1": lambda s: s.client(algorithm="rsa-sha1"),
    "SHA-1 in a URL": lambda s: s.agent(s.target(algorithm="RSA-SHA1")),
    "no algorithm in a URL": lambda s: s.agent(s.target(algorithm="NONE")),
    # What is signed.
    "the Date alone": lambda s: s.covering("date"),
    "the target not signed": lambda s: s.covering("host", "date"),
    "the Host not signed": lambda s: s.covering("(request-target)", "date"),
    "the Date not signed": lambda s: s.covering("(request-target)", "host"),
    "a list of headers that is longer": lambda s: s.client(headers=" ".join((*STRONG, "x-missing"))),
    "a list of headers that is none": lambda s: s.client(headers=""),
    "a header signed twice": lambda s: s.client(headers=" ".join((*STRONG, "date"))),
    # The header's form.
    "another scheme": lambda s: changed(s.client(), "Signature keyId", "Bearer keyId"),
    "Basic": lambda s: upgrade(attach_path("alice", new_id(), "master"), host=HOST, authorization="Basic YTpi"),
    "a parameter twice": lambda s: changed(s.client(), 'algorithm="', 'algorithm="none",algorithm="'),
    "an unknown parameter": lambda s: changed(s.client(), "Signature keyId", 'Signature opaque="x",keyId'),
    "two Authorizations": lambda s: changed(s.client(), "\r\n\r\n", "\r\nAuthorization: Basic YTpi\r\n\r\n"),
    "a signed header and a signed URL": lambda s: s.agent(
        authorization=authorization(s.alice, "alice", "/", HOST, date()), date=date()
    ),
    # Paths.
    "dots, encoded": lambda s: s.agent(
        signed_target(s.alice, "alice", f"/alice/medusa/attach/%2f..%2f{s.waits}/slave", HOST)
    ),
    "the directory's own name for bob's": lambda s: s.agent(
        signed_target(s.alice, "alice", attach_path("alice", f"~bob%2f{s.bobs}", "slave"), HOST)
    ),
    "the file of alice's users": lambda s: s.agent(
        signed_target(s.alice, "alice.users", attach_path("alice.users", s.waits, "slave"), HOST)
    ),
    # Used before.
    "replayed while its agent lives": lambda s: s.used,
    "another URL while an agent lives": lambda s: s.agent(
        signed_target(s.alice, "alice", attach_path("alice", s.linked, "slave"), HOST, int(NOW()) + 200)
    ),
    # A web page.
    "with an Origin": lambda s: s.agent(origin="https://evil.example"),
}
ANSWERS = {400, 401, 403, 404, 405, 409}


def _later(match: re.Match[str]) -> str:
    return f"expires={int(match[1]) + 60}"


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    accounts = tmp_path_factory.mktemp("accounts")
    alice, bob, stranger, small = (Key(kind) for kind in ("rsa", "rsa", "rsa", "rsa1024"))
    allow(accounts, "alice", alice, small)
    allow(accounts, "bob", bob)
    (accounts.parent / "keys").write_bytes(alice.line)
    arguments = ("--accounts", str(accounts), "--keepalive", "600")  # the peers of the scene answer no pings
    prompt = {"refusal_delay": 0.0}
    with running(*arguments, timeouts=prompt) as door, contextlib.ExitStack() as stack:
        ids = [new_id() for _ in range(3)]
        for session, login, key in zip(ids, ("alice", "alice", "bob"), (alice, alice, bob), strict=True):
            stack.enter_context(door.enter(signed_request(key, login, attach_path(login, session, "master"), HOST)))
        wait_until(lambda: list(door.states().values()) == ["slave_wait"] * 3)
        used = upgrade(signed_target(alice, "alice", attach_path("alice", ids[1], "slave"), HOST), host=HOST)
        stack.enter_context(door.enter(used))
        yield Scene(door, alice, bob, stranger, small, ids[0], ids[1], ids[2], used)


def test_the_honest_requests_do_get_in(tmp_path: Path) -> None:
    """Else the table would prove nothing."""
    alice = Key("rsa")
    allow(tmp_path, "alice", alice)
    with running("--accounts", str(tmp_path)) as door:
        session = new_id()
        scene = Scene(door, alice, alice, alice, alice, session, "", "", b"")
        with door.enter(scene.client(session=session)):
            wait_until(lambda: door.states().get(session) == "slave_wait")
            with door.enter(scene.agent()):
                pass
        door.ended(session)
        with door.enter(scene.covering("date", *STRONG[:2])):
            pass


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forgery_is_refused(scene: Scene, forgery: str) -> None:
    before, sessions = len(scene.door.logged("request refused")), scene.door.states()
    request = FORGERIES[forgery](scene)
    answer = scene.door.ask(request)
    assert answer.status in ANSWERS
    assert scene.door.states() == sessions
    entry = scene.door.refusal(before)
    assert entry["status"] == answer.status
    assert len(answer.rest.splitlines()) == (0 if request.startswith(b"HEAD") else 1)
    for secret in _signatures(request):
        assert secret not in scene.door.raw_log
        assert secret not in answer.raw.decode("latin-1")


def _signatures(request: bytes) -> list[str]:
    """Each in every spelling in which it could be repeated; those long enough to be told from other words."""
    found = re.findall(r'signature="?([^"& \r]+)', request.decode("latin-1"))
    return [spelling for text in found for spelling in (text, unquote(text)) if len(spelling) > 16]


def test_a_wrong_signature_and_no_session_have_one_answer(scene: Scene) -> None:
    """Also who knows no login or key, or asks for a session of another's, is told the same."""
    absent = signed_target(scene.alice, "alice", attach_path("alice", new_id(), "slave"), HOST)
    requests = [scene.agent(absent), scene.agent(flipped(scene.target())), scene.agent(flipped(absent))]
    requests += [
        FORGERIES[name](scene) for name in ("an unknown login", "a stranger's key", "bob's id under alice's login")
    ]
    answers = {scene.door.ask(request).undated for request in requests}
    assert len(answers) == 1
    assert answers.pop().startswith(b"HTTP/1.1 404 ")

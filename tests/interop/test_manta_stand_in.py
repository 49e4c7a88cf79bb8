"""The stand-in for Manta refuses what a Manta refuses: were it lenient, tests of mlogin would miss wrong requests.

Signatures, bad jobs, the zones of jobs, and the front door that loses silent connections. What mlogin or npm's mlogin
uses without being refused is covered by their tests.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.manta.stand_in import Job, Manta, manta, zones
from tests.peers import KEY, Peer, upgrade
from tests.servers import Script, ScriptedServer, read_request, switching, until_the_end
from tests.signing import Key, Keys, attach_path, authorization, date, signed_target
from tests.waiting import MS, PATIENCE, wait_until

STOR = "/jill/stor"
JOB = {"exec": "true", "type": "reduce"}


@pytest.fixture(scope="module")
def store(keys: Keys) -> Iterator[Manta]:
    with manta() as store:
        store.add_key("jill", keys["ed25519"].line)
        store.add_key("bob", keys["stranger"].line)
        yield store


class User:
    """Sends requests, with a signature if there is a key."""

    def __init__(self, url: str, key: Key | None) -> None:
        self.host, self._key = urlsplit(url).netloc, key

    def ask(self, method: str, target: str, body: bytes = b"", **headers: str) -> tuple[int, str]:
        """Status, and code of a refusal or Location. `headers` have _ for -."""
        if self._key is not None:
            names = {"method": method.lower(), "names": ("date",)}
            when = headers.get("date", date())
            signed = authorization(self._key, "jill", target, self.host, when, **names)  # type: ignore[arg-type]
            headers = {"date": when, "authorization": signed, **headers}
        connection = http.client.HTTPConnection(self.host, timeout=PATIENCE)
        with contextlib.closing(connection):
            connection.request(method, target, body, {name.replace("_", "-"): headers[name] for name in headers})
            answer = connection.getresponse()
            data = answer.read()
            return answer.status, json.loads(data)["code"] if answer.status >= 400 else answer.headers.get(
                "Location", ""
            )

    def run_job(self, store: Manta, *inputs: str, **phase: object) -> Job:
        """A new job after its end."""
        status, path = self.ask("POST", "/jill/jobs", json.dumps({"phases": [{**JOB, **phase}]}).encode())
        assert status == 201
        if inputs:
            assert self.ask("POST", f"{path}/live/in", "\r\n".join(inputs).encode())[0] == 204
        assert self.ask("POST", f"{path}/live/in/end")[0] == 202
        (job,) = wait_until(
            lambda: [job for job in store.jobs() if job.id == path.split("/")[3] and job.state == "done"]
        )
        return job


@pytest.fixture
def jill(store: Manta, key: Key) -> User:
    return User(store.url, key)


@pytest.fixture
def nobody(store: Manta) -> User:
    return User(store.url, None)


@pytest.mark.parametrize(
    ("method", "target", "changed", "sent", "code"),
    [
        ("DELETE", STOR, {}, {}, "InvalidSignature"),
        ("GET", f"{STOR}?x", {}, {}, "InvalidSignature"),
        ("GET", "/jill/public", {}, {}, "InvalidSignature"),
        ("GET", STOR, {}, {"host": "other"}, "InvalidSignature"),
        ("GET", STOR, {"signature": "AAAA"}, {}, "InvalidSignature"),
        ("GET", STOR, {"signature": ""}, {}, "InvalidHeader"),
        ("GET", STOR, {"keyId": f"/jill/keys/{'00' * 16}"}, {}, "KeyDoesNotExist"),
        ("GET", STOR, {"keyId": f"/mallory/keys/{'00' * 16}"}, {}, "AccountDoesNotExist"),
        ("GET", STOR, {"keyId": "/jill/keys/SHA256:AAAA"}, {}, "InvalidKeyId"),
        ("GET", STOR, {"algorithm": "rsa-sha256"}, {}, "InvalidSignature"),
        ("GET", STOR, {"headers": "host"}, {}, "InvalidSignature"),
    ],
)
def test_a_signature_is_good_for_its_own_request_only(
    key: Key, nobody: User, method: str, target: str, changed: dict[str, str], sent: dict[str, str], code: str
) -> None:
    when = date()
    signed = authorization(key, "jill", STOR, nobody.host, when)
    assert nobody.ask("GET", STOR, date=when, authorization=signed)[0] == 200
    bad = authorization(key, "jill", STOR, nobody.host, when, **changed)
    assert nobody.ask(method, target, b"", **{"date": when, "authorization": bad, **sent})[1] == code


@pytest.mark.parametrize("off", [-301, 302])
def test_a_bad_date_is_refused(jill: User, off: float) -> None:
    assert jill.ask("GET", STOR, date=date(off)) == (403, "RequestExpired")


def test_a_bad_signed_url_is_refused(key: Key, nobody: User) -> None:
    good = signed_target(key, "jill", STOR, nobody.host)
    expired = signed_target(key, "jill", STOR, nobody.host, expires=int(time.time()) - 1)
    assert nobody.ask("GET", good)[0] == 200
    for target in (expired, signed_target(key, "jill", STOR, nobody.host, method="PUT")):
        assert nobody.ask("GET", target)[1] == "InvalidQueryStringAuthentication", target
    for method, target, host in (
        ("DELETE", good, nobody.host),
        ("GET", good, "elsewhere:80"),
        ("GET", good.replace("expires=", "expires=1"), nobody.host),
        ("GET", good.replace("/stor", "/public"), nobody.host),
    ):
        assert nobody.ask(method, target, host=host)[1] == "InvalidSignature", target


@pytest.mark.parametrize(
    "phases",
    [
        [],
        [{**JOB, "type": "shuffle"}],
        [{"type": "map"}],
        [{**JOB, "assets": ["agent.sh"]}],
        [{**JOB, "memory": 1000}],
        [{**JOB, "image": "latest"}],
        [{**JOB, "asset": []}],
    ],
)
def test_a_bad_job_is_refused(store: Manta, jill: User, phases: object) -> None:
    before = len(store.jobs())
    assert jill.ask("POST", "/jill/jobs", json.dumps({"phases": phases}).encode())[:2] == (400, "InvalidJob")
    assert len(store.jobs()) == before


@zones
def test_a_zone_sees_its_job_and_nothing_else(store: Manta, jill: User) -> None:
    store.store("/bob/public/tool", b'#!/bin/bash\ntty; id -u; echo "$1"; cat "$MANTA_INPUT_FILE" -; echo >/tmp/x\n')
    store.store(f"{STOR}/two words", b"input\n")
    script = 'exec >&2; /assets/bob/public/tool hello && env | sort | cut -d= -f1 && : >>"$MANTA_INPUT_FILE"'
    job = jill.run_job(store, f"{STOR}/two words", exec=script, type="map", assets=["/bob/public/tool"])
    *said, last = store.stderr(job).splitlines()
    assert said[:5] == ["not a tty", "0", "hello", "input", "input"]
    assert {*said[5:]} - {"PWD", "SHLVL", "_", "OLDPWD"} == {
        "HOME", "PATH", "MANTA_USER", "MANTA_URL", "MANTA_JOB_ID", "MANTA_NO_AUTH", "MANTA_OUTPUT_BASE",
        "MANTA_INPUT_FILE", "MANTA_INPUT_OBJECT",
    }  # fmt: skip
    assert last.endswith(f"/manta{STOR}/two words: Read-only file system")
    assert [error["code"] for error in job.errors] == ["UserTaskError"]


@zones
def test_a_zone_needs_no_signature_and_acts_for_the_jobs_owner(store: Manta, jill: User) -> None:
    store.store(f"{STOR}/doomed", b"")
    store.store("/bob/stor/safe", b"")
    # bash's own way to a socket: the zone need not have a program for it.
    ask = 'exec 3<>/dev/tcp/127.0.0.1/${MANTA_URL##*:}; printf "DELETE %s HTTP/1.0\\r\\n\\r\\n" "$1" >&3; head -1 <&3'
    job = jill.run_job(store, exec=f"exec >&2; ask() {{ {ask}; }}; ask {STOR}/doomed; ask /bob/stor/safe")
    answers = [line.partition(" ")[2] for line in store.stderr(job).splitlines() if line]
    assert answers == ["204 No Content", "403 Forbidden"]


# The front door for sessions.


def attach_request(host: str, key: Key, owner: str = "jill", **changed: str | None) -> bytes:
    """As npm's mlogin sends it."""
    when, target = date(), attach_path("jill", "an-id", "master")
    signed = authorization(key, owner, target, host, when, names=("date",))
    return upgrade(target, **{"host": host, "date": when, "authorization": signed, **changed})


@contextlib.contextmanager
def connected(store: Manta) -> Iterator[tuple[Peer, str]]:
    """A connection, and the Host."""
    host = urlsplit(store.url).netloc
    address, _, port = host.rpartition(":")
    with Peer(socket.create_connection((address, int(port)), timeout=PATIENCE)) as peer:
        yield peer, host


@contextlib.contextmanager
def attached(key: Key, reflector: Script, idle_limit: float = 30.0) -> Iterator[tuple[Peer, int]]:
    """A client that has sent its request, and the port of a reflector that follows a script."""
    with (
        ScriptedServer(reflector) as server,
        manta(reflector_url=f"http://127.0.0.1:{server.port}", idle_limit=idle_limit) as store,
        connected(store) as (client, host),
    ):
        store.add_key("jill", key.line)
        client.send(attach_request(host, key))
        yield client, server.port


def test_strangers_and_plain_requests_are_refused(store: Manta, key: Key, keys: Keys) -> None:
    for status, owner, changed in (
        (401, "jill", {"authorization": None}),
        (403, "bob", {}),
        (400, "jill", {"upgrade": None}),
    ):
        with connected(store) as (peer, host):
            peer.send(attach_request(host, key if owner == "jill" else keys["stranger"], owner, **changed))
            assert peer.head().status == status


def test_muskie_writes_a_head_of_its_own_and_wants_exactly_upgrade_in_the_answer(key: Key) -> None:
    heads: list[bytes] = []

    def answers_with_a_list(sock: socket.socket) -> None:
        heads.append(sock.recv(4096))
        sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: keep-alive, Upgrade\r\n\r\n")

    with attached(key, answers_with_a_list) as (client, port):
        assert client.head().status == 500
    lines = ["GET /attach/an-id/master HTTP/1.1", "connection: upgrade", "upgrade: websocket"]
    lines += [f"sec-websocket-key: {KEY}", f"Host: 127.0.0.1:{port}", "", ""]
    assert heads == ["\r\n".join(lines).encode()]


def is_silent(sock: socket.socket) -> None:
    sock.sendall(switching(read_request(sock)))
    until_the_end(sock)


def resets(sock: socket.socket) -> None:
    sock.sendall(switching(read_request(sock)))
    sock.recv(1)
    Peer(sock).reset()


@pytest.mark.parametrize("script", [is_silent, resets])
def test_a_silent_connection_is_cut(key: Key, script: Script) -> None:
    """The reset of the reflector does not reach the client, which sees the end only after the limit as well."""
    with attached(key, script, 300 * MS) as (client, _):
        assert client.head().status == 101
        client.send(b"x")
        assert client.until_fin() == b""


def test_another_front_door_gets_the_head_byte_for_byte(key: Key) -> None:
    heads: list[bytes] = []

    def door(sock: socket.socket) -> None:
        heads.append(sock.recv(4096))
        sock.sendall(b"HTTP/1.1 401 Unauthorized\r\nConnection: close\r\n\r\nno")

    with (
        ScriptedServer(door) as other,
        manta(front_door=f"http://127.0.0.1:{other.port}") as store,
        connected(store) as (client, host),
    ):
        request = attach_request(host, key, "mallory", x_odd="  spaced ")
        client.send(request)
        assert (client.head().status, client.until_fin()) == (401, b"no")
    assert heads == [request]

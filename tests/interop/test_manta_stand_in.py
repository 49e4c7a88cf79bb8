"""The stand-in for Manta refuses what a Manta refuses: were it lenient, tests of mlogin would miss wrong requests.

Signatures, bad jobs, the zones of jobs, and the front door that loses silent connections. What mlogin or npm's mlogin
uses without being refused is covered by their tests.
"""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.interop.manta_users import STOR, User, connected
from tests.manta.stand_in import Job, Manta, manta, zones
from tests.peers import KEY, Peer, upgrade
from tests.servers import Script, ScriptedServer, read_request, switching, until_the_end
from tests.signing import Key, attach_path, authorization, date, signed_target
from tests.waiting import MS, wait_until

DIRECTORY = "application/json; type=directory"


@pytest.mark.parametrize(
    ("target", "headers", "refusal"),
    [
        (f"{STOR}/none/x", {}, (404, "DirectoryDoesNotExist")),
        (f"{STOR}/file/x", {}, (400, "ParentNotDirectory")),
        (f"{STOR}/directory", {}, (400, "OperationNotAllowedOnDirectory")),
        (STOR, {"content_type": DIRECTORY}, (400, "OperationNotAllowedOnRootDirectory")),
        (f"{STOR}/x", {"content_md5": "AAAAAAAAAAAAAAAAAAAAAA=="}, (400, "ContentMD5Mismatch")),
        (f"{STOR}/x", {"x_durability_level": "9"}, (400, "InvalidDurabilityLevel")),
        (f"{STOR}/%2e%2e/x", {}, (400, "InvalidResource")),
        ("/bob/public/x", {}, (403, "AuthorizationFailed")),
    ],
)
def test_a_bad_put_is_refused(
    store: Manta, jill: User, target: str, headers: dict[str, str], refusal: tuple[int, str]
) -> None:
    store.store(f"{STOR}/file", b"")
    store.path(f"{STOR}/directory").mkdir(exist_ok=True)
    assert jill.refused("PUT", target, b"some data", **headers) == refusal


@pytest.mark.parametrize("kind", ["rsa", "ed25519", "ecdsa256", "ecdsa384", "ecdsa521"])
def test_every_kind_of_key_signs(store: Manta, kind: str) -> None:
    key = Key(kind)
    store.add_key("many", key.line)
    user = User(store.url, key, "many")
    assert user.ask("GET", "/many/stor").status == 200
    assert User(store.url, None).ask("GET", signed_target(key, "many", "/many/stor", user.host)).status == 200


def test_a_subuser_has_a_key_of_its_own(store: Manta) -> None:
    key = Key("ed25519")
    store.add_key("jill", key.line, user="guest")
    assert User(store.url, key, "jill/guest").ask("GET", STOR).status == 200
    assert User(store.url, key).refused("GET", STOR) == (403, "KeyDoesNotExist")


def test_a_signature_is_good_for_its_own_request_only(key: Key, nobody: User) -> None:
    when = date()
    signed = authorization(key, "jill", STOR, nobody.host, when)
    assert nobody.ask("GET", STOR, date=when, authorization=signed).status == 200
    for method, target in (("DELETE", STOR), ("GET", f"{STOR}?x"), ("GET", "/jill/public")):
        refusal = nobody.refused(method, target, date=when, authorization=signed)
        assert refusal == (403, "InvalidSignature"), target
    assert nobody.refused("GET", STOR, date=when, authorization=signed, host="other") == (403, "InvalidSignature")


OTHER = "00:" * 15 + "00"


@pytest.mark.parametrize(
    ("changed", "refusal"),
    [
        ({"signature": "AAAA"}, (403, "InvalidSignature")),
        ({"signature": ""}, (400, "InvalidHeader")),
        ({"keyId": f"/jill/keys/{OTHER}"}, (403, "KeyDoesNotExist")),
        ({"keyId": f"/mallory/keys/{OTHER}"}, (403, "AccountDoesNotExist")),
        ({"keyId": "/jill/keys/SHA256:AAAA"}, (403, "InvalidKeyId")),
        ({"algorithm": "rsa-sha256"}, (403, "InvalidSignature")),
        ({"headers": "date host"}, (403, "InvalidSignature")),
    ],
)
def test_a_bad_authorization_is_refused(
    key: Key, nobody: User, changed: dict[str, str], refusal: tuple[int, str]
) -> None:
    when = date()
    signed = authorization(key, "jill", STOR, nobody.host, when, names=("date",))
    for parameter, value in changed.items():
        before, _, rest = signed.partition(f'{parameter}="')
        signed = f'{before}{parameter}="{value}"{rest.partition(chr(34))[2]}'
    assert nobody.refused("GET", STOR, date=when, authorization=signed) == refusal


def test_a_bad_date_is_refused(jill: User, nobody: User, key: Key) -> None:
    assert jill.refused("GET", STOR, date=date(-301)) == jill.refused("GET", STOR, date=date(302))
    assert jill.refused("GET", STOR, date=date(-301)) == (403, "RequestExpired")
    undated = authorization(key, "jill", STOR, nobody.host, date(), names=("host",))
    assert nobody.refused("GET", STOR, date=date(), authorization=undated) == (403, "InvalidSignature")


def test_a_bad_signed_url_is_refused(key: Key, nobody: User) -> None:
    good = signed_target(key, "jill", STOR, nobody.host)
    expired = signed_target(key, "jill", STOR, nobody.host, expires=int(time.time()) - 1)
    assert nobody.ask("GET", good).status == 200
    for target in (expired, signed_target(key, "jill", STOR, nobody.host, method="PUT")):
        assert nobody.refused("GET", target) == (403, "InvalidQueryStringAuthentication"), target
    for method, target, host in (
        ("DELETE", good, nobody.host),
        ("GET", good, "elsewhere:80"),
        ("GET", good.replace("expires=", "expires=1"), nobody.host),
        ("GET", good.replace("/stor", "/public"), nobody.host),
    ):
        assert nobody.refused(method, target, host=host) == (403, "InvalidSignature"), target


# Jobs.


def job_of(store: Manta, job_id: str) -> Job:
    """The job, after its end."""
    wait_until(lambda: [job for job in store.jobs() if (job.id, job.state) == (job_id, "done")], "the job's end")
    return next(job for job in store.jobs() if job.id == job_id)


@pytest.mark.parametrize(
    "job",
    [
        [],
        {"phases": []},
        {"phases": [{"exec": "true", "type": "shuffle"}]},
        {"phases": [{"type": "map"}]},
        {"phases": [{"exec": "true", "assets": ["agent.sh"]}]},
        {"phases": [{"exec": "true", "memory": 1000}]},
        {"phases": [{"exec": "true", "image": "latest"}]},
        {"phases": [{"exec": "true", "asset": []}]},
    ],
)
def test_a_bad_job_is_refused(store: Manta, jill: User, job: object) -> None:
    before = len(store.jobs())
    assert jill.refused("POST", "/jill/jobs", json.dumps(job).encode()) == (400, "InvalidJob")
    assert len(store.jobs()) == before


def test_a_job_takes_orders_from_its_owner_until_it_is_done(jill: User, nobody: User) -> None:
    body = json.dumps({"phases": [{"exec": "true", "type": "reduce"}]}).encode()
    assert jill.refused("POST", "/bob/jobs", body) == (403, "AuthorizationFailed")
    assert nobody.refused("POST", "/jill/jobs", body) == (401, "AuthorizationRequired")
    path = f"/jill/jobs/{jill.create_job()}/live"
    assert jill.refused("POST", f"{path}/in", b"not a path") == (400, "InvalidArgument")
    assert jill.ask("POST", f"{path}/cancel").status == 202
    status = json.loads(jill.ask("GET", f"{path}/status").body)
    assert (status["state"], status["cancelled"]) == ("done", True)
    for what in ("in", "in/end", "cancel"):
        assert jill.refused("POST", f"{path}/{what}") == (409, "InvalidJobState"), what


@zones
def test_a_zone_sees_its_job_and_nothing_else(store: Manta, jill: User) -> None:
    store.store("/bob/public/tool", b'#!/bin/bash\ntty; id -u; echo "$1"; cat "$MANTA_INPUT_FILE" -; echo >/tmp/x\n')
    store.store(f"{STOR}/two words", b"input\n")
    script = "/assets/bob/public/tool hello && env -0 | sort -z >&2 && : >>$MANTA_INPUT_FILE"
    job = job_of(store, jill.run_job(f"{STOR}/two words", exec=script, type="map", assets=["/bob/public/tool"]))
    assert store.stdout(job) == "not a tty\n0\nhello\ninput\ninput\n"
    environ = dict(line.split("=", 1) for line in store.stderr(job).split("\0")[:-1])
    assert set(environ) - {"PWD", "SHLVL", "_", "OLDPWD"} == {
        "HOME", "PATH", "MANTA_USER", "MANTA_URL", "MANTA_JOB_ID", "MANTA_NO_AUTH", "MANTA_OUTPUT_BASE",
        "MANTA_INPUT_FILE", "MANTA_INPUT_OBJECT",
    }  # fmt: skip
    assert environ["MANTA_INPUT_FILE"] == f"/manta{STOR}/two words"
    assert [error["code"] for error in job.errors] == ["UserTaskError"]  # the input is read-only


@zones
def test_a_zone_needs_no_signature_and_acts_for_the_jobs_owner(store: Manta, jill: User) -> None:
    store.store(f"{STOR}/doomed", b"")
    store.store("/bob/stor/safe", b"")
    # bash's own way to a socket: the zone need not have a program for it.
    ask = 'exec 3<>/dev/tcp/127.0.0.1/${MANTA_URL##*:}; printf "DELETE %s HTTP/1.0\\r\\n\\r\\n" "$1" >&3; head -1 <&3'
    job = job_of(store, jill.run_job(exec=f"ask() {{ {ask}; }}; ask {STOR}/doomed; ask /bob/stor/safe"))
    answers = [line.partition(" ")[2] for line in store.stdout(job).splitlines() if line]
    assert answers == ["204 No Content", "403 Forbidden"]


@zones
@pytest.mark.parametrize(
    ("phase", "inputs", "error"),
    [
        ({"exec": "exit 7"}, [], "UserTaskError: user command exited with code 7"),
        ({"exec": "kill -9 $$"}, [], "UserTaskError: user command killed by signal 9"),
        ({"exec": "true", "init": "false"}, [], "TaskInitError: init script failed"),
        ({"exec": "true", "assets": ["/jill/stor/nothing"]}, [], "TaskInitError: could not load"),
        ({"exec": "true", "type": "map"}, ["/jill/stor/nothing"], "ResourceNotFoundError: could not load"),
    ],
)
def test_a_job_that_fails_says_why(
    store: Manta, jill: User, phase: dict[str, Any], inputs: list[str], error: str
) -> None:
    job = jill.run_job(*inputs, **phase)
    job_of(store, job)
    (found,) = [json.loads(line) for line in jill.ask("GET", f"/jill/jobs/{job}/live/err").body.splitlines()]
    assert f"{found['code']}: {found['message']}".startswith(error)


# The front door for sessions.


def attach_request(host: str, key: Key, owner: str = "jill", **changed: str | None) -> bytes:
    """As npm's mlogin sends it."""
    when, target = date(), attach_path("jill", "an-id", "master")
    signed = authorization(key, owner, target, host, when, names=("date",))
    return upgrade(target, **{"host": host, "date": when, "authorization": signed, **changed})


@contextlib.contextmanager
def attached(key: Key, reflector: Script, idle_limit: float = 30.0) -> Iterator[tuple[Peer, int]]:
    """A client that has sent its request, and the port of a reflector that follows a script."""
    with (
        ScriptedServer(reflector) as server,
        manta(reflector_url=f"http://127.0.0.1:{server.port}", idle_limit=idle_limit) as store,
    ):
        store.add_key("jill", key.line)
        host = User(store.url, None).host
        with connected(host) as client:
            client.send(attach_request(host, key))
            yield client, server.port


def is_silent(sock: socket.socket) -> None:
    sock.sendall(switching(read_request(sock)))
    until_the_end(sock)


def resets(sock: socket.socket) -> None:
    sock.sendall(switching(read_request(sock)))
    sock.recv(1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    sock.close()


def test_strangers_and_plain_requests_are_refused(store: Manta, key: Key) -> None:
    other = Key("ed25519")
    store.add_key("bob", other.line)
    host = User(store.url, None).host
    refusals = {
        401: attach_request(host, key, authorization=None),
        403: attach_request(host, other, "bob"),
        400: attach_request(host, key, upgrade=None),
    }
    for status, request in refusals.items():
        with connected(host) as peer:
            peer.send(request)
            assert peer.head().status == status


def test_muskie_writes_a_head_of_its_own_for_the_reflector(key: Key) -> None:
    heads: list[bytes] = []
    hangs_up: Callable[[socket.socket], None] = lambda sock: heads.append(sock.recv(4096))  # noqa: E731
    with attached(key, hangs_up) as (client, port):
        assert client.head().status == 500
    lines = ["GET /attach/an-id/master HTTP/1.1", "connection: upgrade", "upgrade: websocket"]
    lines += [f"sec-websocket-key: {KEY}", f"Host: 127.0.0.1:{port}", "", ""]
    assert heads == ["\r\n".join(lines).encode()]


def test_muskie_wants_exactly_upgrade_in_the_answer(key: Key) -> None:
    def answers_with_a_list(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: keep-alive, Upgrade\r\n\r\n")

    with attached(key, answers_with_a_list) as (client, _):
        assert client.head().status == 500


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

    with ScriptedServer(door) as other, manta(front_door=f"http://127.0.0.1:{other.port}") as store:
        host = User(store.url, None).host
        request = attach_request(host, key, "mallory", x_odd="  spaced ")
        with connected(host) as client:
            client.send(request)
            assert (client.head().status, client.until_fin()) == (401, b"no")
    assert heads == [request]

"""The stand-in for Manta keeps objects, and lets in who signs: what it must serve and what it must refuse."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.client
import json
import os
import ssl
import time
from urllib.parse import urlsplit

import pytest

from tests.interop.manta_users import STOR, User, connected
from tests.manta.stand_in import ARCHIVE, Manta, manta
from tests.signing import Key, authorization, date, signed_target
from tests.waiting import PATIENCE

KINDS = ["rsa", "ed25519", "ecdsa256", "ecdsa384", "ecdsa521"]
DIRECTORY = "application/json; type=directory"


def test_an_object_comes_back_as_it_went(store: Manta, jill: User) -> None:
    data, name = os.urandom(100_000), f"{STOR}/caf%C3%A9%20%2B%20tea"
    put = jill.ask("PUT", name, data, content_type="text/plain", x_durability_level="1")
    assert (put.status, put.headers["durability-level"]) == (204, "1")
    got = jill.ask("GET", name)
    assert (got.status, got.body, got.headers["content-type"]) == (200, data, "text/plain")
    assert base64.b64decode(got.headers["content-md5"]) == hashlib.md5(data).digest()
    head = jill.ask("HEAD", name)
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(len(data)))
    assert store.path(f"{STOR}/café + tea").read_bytes() == data
    assert jill.ask("DELETE", name).status == 204
    assert jill.refused("GET", name) == (404, "ResourceNotFound")


def test_directories(jill: User) -> None:
    assert jill.ask("PUT", f"{STOR}/a", content_type=DIRECTORY).status == 204
    assert jill.ask("PUT", f"{STOR}/a", content_type=DIRECTORY).status == 204
    assert jill.ask("PUT", f"{STOR}/a/b", b"x").status == 204
    listing = jill.ask("GET", f"{STOR}/a")
    assert listing.headers["content-type"] == "application/x-json-stream; type=directory"
    assert [json.loads(line) for line in listing.body.splitlines()] == [{"name": "b", "type": "object"}]
    assert jill.refused("DELETE", f"{STOR}/a") == (400, "DirectoryNotEmpty")
    assert [jill.ask("DELETE", f"{STOR}/a/b").status, jill.ask("DELETE", f"{STOR}/a").status] == [204, 204]


def test_a_client_is_told_to_go_on_before_it_sends(jill: User, key: Key) -> None:
    target, when = f"{STOR}/continued", date()
    signed = authorization(key, "jill", target, jill.host, when, names=("date",))
    lines = [f"PUT {target} HTTP/1.1", f"host: {jill.host}", f"date: {when}", f"authorization: {signed}"]
    lines += ["expect: 100-continue", "transfer-encoding: chunked", "", ""]
    with connected(jill.host) as peer:
        peer.send("\r\n".join(lines).encode())
        assert peer.head().status == 100
        peer.send(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
        assert peer.head().status == 204
    assert jill.ask("GET", target).body == b"abcde"


BAD_PUTS: dict[str, tuple[str, dict[str, str], tuple[int, str]]] = {
    "no directory": (f"{STOR}/none/x", {}, (404, "DirectoryDoesNotExist")),
    "below an object": (f"{STOR}/file/x", {}, (400, "ParentNotDirectory")),
    "a directory below nothing": (f"{STOR}/none/x", {"content_type": DIRECTORY}, (404, "DirectoryDoesNotExist")),
    "in place of a directory": (f"{STOR}/directory", {}, (400, "OperationNotAllowedOnDirectory")),
    "a directory in place of an object": (f"{STOR}/file", {"content_type": DIRECTORY}, (400, "ParentNotDirectory")),
    "a root directory": (STOR, {}, (400, "OperationNotAllowedOnRootDirectory")),
    "no such root": ("/jill/other/x", {}, (400, "OperationNotAllowedOnRootDirectory")),
    "another digest": (f"{STOR}/x", {"content_md5": "AAAAAAAAAAAAAAAAAAAAAA=="}, (400, "ContentMD5Mismatch")),
    "no such durability": (f"{STOR}/x", {"x_durability_level": "9"}, (400, "InvalidDurabilityLevel")),
    "a way up": (f"{STOR}/%2e%2e/x", {}, (400, "InvalidResource")),
    "a hidden slash": (f"{STOR}/a%2Fb", {}, (400, "InvalidResource")),
    "somebody else's": ("/bob/stor/x", {}, (403, "AuthorizationFailed")),
    "somebody else's, public": ("/bob/public/x", {}, (403, "AuthorizationFailed")),
}


@pytest.mark.parametrize("name", BAD_PUTS)
def test_a_bad_put(store: Manta, jill: User, name: str) -> None:
    store.store(f"{STOR}/file", b"")
    store.path(f"{STOR}/directory").mkdir(exist_ok=True)
    target, headers, refusal = BAD_PUTS[name]
    assert jill.refused("PUT", target, b"some data", **headers) == refusal
    assert store.objects("/bob/stor") == store.objects("/bob/public") == []


def test_what_is_public_is_read_by_anybody_and_written_by_nobody_else(store: Manta, jill: User, nobody: User) -> None:
    store.store("/bob/public/x", b"for all")
    store.store("/bob/stor/x", b"for bob")
    assert nobody.ask("GET", "/bob/public/x").body == jill.ask("GET", "/bob/public/x").body == b"for all"
    assert jill.refused("GET", "/bob/stor/x") == jill.refused("DELETE", "/bob/public/x") == (403, "AuthorizationFailed")
    assert nobody.refused("GET", "/bob/stor/x") == nobody.refused("DELETE", "/bob/public/x")
    assert nobody.refused("GET", "/bob/stor/x") == (401, "AuthorizationRequired")
    for name in ("public", "stor"):
        store.path(f"/bob/{name}/x").unlink()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_key_signs(store: Manta, kind: str) -> None:
    key = Key(kind)
    store.add_key("many", key.line)
    user = User(store.url, key, "many")
    assert user.ask("GET", "/many/stor").status == 200
    assert User(store.url, None).ask("GET", signed_target(key, "many", "/many/stor", user.host)).status == 200


@pytest.mark.parametrize("algorithm", ["rsa-sha1", "rsa-sha256", "rsa-sha512", "RSA-SHA256"])
def test_every_digest_of_rsa(store: Manta, algorithm: str) -> None:
    key, when = Key("rsa"), date()
    store.add_key("rsa", key.line)
    signed = authorization(key, "rsa", "", "", when, names=("date",), algorithm=algorithm.lower())
    signed = signed.replace(algorithm.lower(), algorithm)
    assert User(store.url, None).ask("GET", "/rsa/stor", date=when, authorization=signed).status == 200


def test_a_subusers_key(store: Manta) -> None:
    key = Key("ed25519")
    store.add_key("jill", key.line, user="guest")
    assert User(store.url, key, "jill/guest").ask("GET", STOR).status == 200
    assert User(store.url, key).refused("GET", STOR) == (403, "KeyDoesNotExist")
    assert User(store.url, key, "jill/other").refused("GET", STOR) == (403, "AccountDoesNotExist")


def test_a_request_target_that_was_signed_is_checked(store: Manta, key: Key, nobody: User) -> None:
    when = date()
    signed = authorization(key, "jill", STOR, nobody.host, when)
    assert nobody.ask("GET", STOR, date=when, authorization=signed).status == 200
    for method, target in (("DELETE", STOR), ("GET", f"{STOR}?x"), ("GET", "/jill/public")):
        refusal = nobody.refused(method, target, date=when, authorization=signed)
        assert refusal == (403, "InvalidSignature"), target
    assert nobody.refused("GET", STOR, date=when, authorization=signed, host="other") == (403, "InvalidSignature")


OTHER = "00:" * 15 + "00"
BAD_HEADERS: dict[str, tuple[dict[str, str], tuple[int, str]]] = {
    "another signature": ({"signature": "AAAA"}, (403, "InvalidSignature")),
    "no base64": ({"signature": "???"}, (403, "InvalidSignature")),
    "no signature": ({"signature": ""}, (400, "InvalidHeader")),
    "another key": ({"keyId": f"/jill/keys/{OTHER}"}, (403, "KeyDoesNotExist")),
    "another account": ({"keyId": f"/mallory/keys/{OTHER}"}, (403, "AccountDoesNotExist")),
    "a path as account": ({"keyId": f"/../keys/{OTHER}"}, (403, "AccountDoesNotExist")),
    "no keyId": ({"keyId": "jill"}, (403, "InvalidKeyId")),
    "SHA256 as keyId": ({"keyId": "/jill/keys/SHA256:AAAA"}, (403, "InvalidKeyId")),
    "no algorithm": ({"algorithm": "none"}, (403, "InvalidAlgorithm")),
    "an algorithm of another kind": ({"algorithm": "rsa-sha256"}, (403, "InvalidSignature")),
    "a header that did not come": ({"headers": "date x-missing"}, (400, "MissingHeader")),
    "another set of headers": ({"headers": "date host"}, (403, "InvalidSignature")),
}


@pytest.mark.parametrize("name", BAD_HEADERS)
def test_a_bad_authorization(key: Key, nobody: User, name: str) -> None:
    changed, refusal = BAD_HEADERS[name]
    when = date()
    signed = authorization(key, "jill", STOR, nobody.host, when, names=("date",))
    for parameter, value in changed.items():
        before, _, rest = signed.partition(f'{parameter}="')
        signed = f'{before}{parameter}="{value}"{rest.partition(chr(34))[2]}'
    assert nobody.refused("GET", STOR, date=when, authorization=signed) == refusal


def test_more_bad_authorizations(jill: User, nobody: User, key: Key) -> None:
    assert nobody.refused("GET", STOR, authorization="Basic amlsbDpqaWxs") == (403, "AuthSchemeNotAllowed")
    assert nobody.refused("GET", STOR, authorization="Signature keyId=") == (400, "InvalidHeader")
    assert jill.refused("GET", STOR, date=date(-301)) == jill.refused("GET", STOR, date=date(302))
    assert jill.refused("GET", STOR, date=date(-301)) == (403, "RequestExpired")
    assert jill.refused("GET", STOR, date="soon") == (400, "InvalidHeader")
    undated = authorization(key, "jill", STOR, nobody.host, date(), names=("host",))
    assert nobody.refused("GET", STOR, date=date(), authorization=undated) == (403, "InvalidSignature")


def test_the_skew_is_a_setting(key: Key) -> None:
    with manta(max_skew=1000) as store:
        store.add_key("jill", key.line)
        assert User(store.url, key).ask("GET", STOR, date=date(-900)).status == 200


def test_bad_presigned_urls(key: Key, nobody: User) -> None:
    good = signed_target(key, "jill", STOR, nobody.host)
    expired = signed_target(key, "jill", STOR, nobody.host, expires=int(time.time()) - 1)
    assert nobody.ask("GET", good).status == 200
    assert nobody.ask("GET", signed_target(key, "jill", STOR, nobody.host, method="GET,HEAD")).status == 200
    for target in (
        expired,
        signed_target(key, "jill", STOR, nobody.host, expires="soon"),
        good + "&expires=9999999999",
        signed_target(key, "jill", STOR, nobody.host, method="PUT"),
        good.replace("expires=", "expired="),
    ):
        assert nobody.refused("GET", target) == (403, "InvalidQueryStringAuthentication"), target
    for method, target, host in (
        ("DELETE", good, nobody.host),
        ("GET", good, "elsewhere:80"),
        ("GET", good.replace("expires=", "expires=1"), nobody.host),
        ("GET", good.replace("/stor", "/public"), nobody.host),
        ("GET", good + "&more=1", nobody.host),
    ):
        assert nobody.refused(method, target, host=host) == (403, "InvalidSignature"), target


def test_it_listens_by_tls_too(key: Key) -> None:
    with manta(tls=True) as store:
        store.store(ARCHIVE, b"the archive")
        context = ssl.create_default_context(cafile=store.certificate)
        parts = urlsplit(store.url)
        connection = http.client.HTTPSConnection(parts.netloc, context=context, timeout=PATIENCE)
        with contextlib.closing(connection):
            connection.request("GET", ARCHIVE)
            assert connection.getresponse().read() == b"the archive"


def test_the_log_tells_who_asked_for_what_and_no_secret(store: Manta, key: Key, jill: User, nobody: User) -> None:
    target = signed_target(key, "jill", f"{STOR}/logged", nobody.host)
    assert nobody.ask("GET", target).status == 404
    entry = {"method": "GET", "path": f"{STOR}/logged", "who": "jill", "outcome": "ResourceNotFound"}
    assert store.requests("GET", "/logged") == [{**entry, "status": "404", "message": f"{STOR}/logged was not found"}]
    assert "signature=" not in store.log.read_text()

"""Manta's API as its own programs use it, against a server that notes every request."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from medusa.client.launchers.manta.api import MantaClient, ObjectInfo, normal_path
from medusa.client.launchers.manta.errors import MantaError
from tests.stores import Reply, Store, refusal
from tests.unit.client.launchers.manta.clients import SIGNATURE, client, failure


def test_every_request_is_signed_as_it_is_sent(server: Store) -> None:
    manta = client(server.url)
    manta.put_object("/poseidon/stor/a b/ü?#%2f&~!'()*.json", b"x", "text/plain")
    (seen,) = server.seen
    assert seen.target == "/poseidon/stor/a%20b/%C3%BC%3F%23%252f%26~!'()*.json"
    host = server.url.partition("//")[2]
    assert seen.headers["host"] == host
    assert seen.headers["date"] == "now"
    assert seen.headers["authorization"] == f"{SIGNATURE} PUT {seen.target} {host}"


def test_without_an_account_nothing_is_signed_and_netrc_is_not_read(
    server: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login l password p\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    manta = MantaClient(server.url, None)
    manta.put_object("/poseidon/stor/x", b"x", "text/plain")
    with pytest.raises(MantaError, match="belong to an account"):
        manta.create_job({})
    manta = client(server.url)
    manta.get_object("/poseidon/stor/x")
    assert "authorization" not in server.seen[0].headers
    assert server.seen[1].headers["authorization"].startswith(SIGNATURE)


def test_an_object(server: Store) -> None:
    manta = client(server.url)
    manta.put_object("~~/stor/x", b"\0\xff", "application/x-sh", durability=1)
    assert manta.get_object("/poseidon/stor//./x/") == b"\0\xff"
    server.replies = [Reply(200, b"", (("Content-Type", "text/plain"), ("Content-Length", "2")))]
    assert manta.head_object("~~/stor/x") == ObjectInfo("text/plain", 2, False)
    server.replies = [Reply(200, b"", (("Content-Type", "application/x-json-stream; type=directory"),))]
    assert manta.head_object("~~").is_directory
    manta.delete_object("~~/stor/x")
    with pytest.raises(MantaError) as caught:
        manta.get_object("~~/stor/x")
    assert (caught.value.status, caught.value.code) == (404, "NotFoundError")
    put = server.seen[0]
    assert put.headers["content-type"] == "application/x-sh"
    assert put.headers["x-durability-level"] == "1"
    assert base64.b64decode(put.headers["content-md5"]) == hashlib.md5(b"\0\xff").digest()
    assert [(seen.method, seen.target) for seen in server.seen] == [
        ("PUT", "/poseidon/stor/x"),
        ("GET", "/poseidon/stor/x"),
        ("HEAD", "/poseidon/stor/x"),
        ("HEAD", "/poseidon"),
        ("DELETE", "/poseidon/stor/x"),
        ("GET", "/poseidon/stor/x"),
    ]


def test_directories_are_made_from_the_top(server: Store) -> None:
    manta = client(server.url)
    manta.make_directories("/poseidon/public/medusa/old")
    manta.make_directories("/poseidon/public")
    assert [seen.target for seen in server.seen] == ["/poseidon/public/medusa", "/poseidon/public/medusa/old"]
    assert {seen.headers["content-type"] for seen in server.seen} == {"application/json; type=directory"}
    assert {seen.headers["content-length"] for seen in server.seen} == {"0"}


def test_a_job(server: Store) -> None:
    job = {"name": "interactive compute job", "phases": [{"exec": "/assets/é"}]}
    error = {"code": "UserTaskError", "message": "user command exited with code 127"}
    stream = b"".join(json.dumps(line).encode() + b"\r\n" for line in (error, error))
    server.replies = [
        Reply(201, headers=(("Location", "/poseidon/jobs/0b-1"),)),
        Reply(204),
        Reply(202),
        Reply(200, b'{"id": "0b-1", "state": "queued"}'),
        Reply(200, stream),
        Reply(202),
    ]
    manta = client(server.url)
    assert manta.create_job(job) == "0b-1"
    manta.add_job_key("0b-1", "/poseidon/stor/a b")
    manta.end_job_input("0b-1")
    assert manta.job_status("0b-1")["state"] == "queued"
    assert manta.job_errors("0b-1") == [error, error]
    manta.cancel_job("0b-1")
    assert [
        (seen.method, seen.target.removeprefix("/poseidon/jobs"), seen.headers.get("content-type"))
        for seen in server.seen
    ] == [
        ("POST", "", "application/json; type=job"),
        ("POST", "/0b-1/live/in", "text/plain"),
        ("POST", "/0b-1/live/in/end", "application/json"),
        ("GET", "/0b-1/live/status", None),
        ("GET", "/0b-1/live/err", None),
        ("POST", "/0b-1/live/cancel", "application/json"),
    ]
    assert json.loads(server.seen[0].body) == job
    assert server.seen[1].body == b"/poseidon/stor/a b"


@pytest.mark.parametrize(
    ("reply", "ask", "words"),
    [
        (Reply(201), lambda manta: manta.create_job({}), "does not say under which id"),
        (Reply(201, headers=(("Location", "/l/jobs/a%2Fb"),)), lambda manta: manta.create_job({}), "which id"),
        (Reply(200, b"[]"), lambda manta: manta.job_status("x"), "not a JSON object"),
        (Reply(200, b"{" * 9999), lambda manta: manta.job_status("x"), "not a JSON object"),
        (Reply(200, b"{}\nx"), lambda manta: manta.job_errors("x"), "not a JSON object"),
    ],
)
def test_an_answer_of_another_form_is_an_error(
    server: Store, reply: Reply, ask: Callable[[MantaClient], object], words: str
) -> None:
    assert words in str(failure(server, reply, ask))


@pytest.mark.parametrize(
    ("reply", "status", "code", "words"),
    [
        (
            refusal(404, "ResourceNotFoundError", "/p/x was not found"),
            404,
            "ResourceNotFoundError",
            "GET /p/x: 404 ResourceNotFoundError: /p/x was not found",
        ),
        (refusal(403, "E\x1b[2J", "m\u202e\n"), 403, r"E\x1b[2JError", r"GET /p/x: 403 E\x1b[2JError: m\u202e\x0a"),
        (Reply(401, b"<html>"), 401, "UnauthorizedError", "GET /p/x: 401 UnauthorizedError"),
        (Reply(404, b"[1]"), 404, "NotFoundError", "GET /p/x: 404 NotFoundError"),
        (Reply(500, b'{"code": null}'), 500, "", "GET /p/x: 500"),
        (Reply(503, b""), 503, "", "GET /p/x: 503"),
        (Reply(302, headers=(("Location", "http://127.0.0.1:1/?x"),)), 302, "", "leads to http://127.0.0.1:1/, and"),
        (Reply(304), 304, "", "GET /p/x: 304"),
    ],
)
def test_a_refusal_becomes_an_error(server: Store, reply: Reply, status: int, code: str, words: str) -> None:
    error = failure(server, reply, lambda manta: manta.get_object("/p/x"))
    assert (error.status, error.code) == (status, code)
    assert words in str(error)
    assert SIGNATURE not in str(error)


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("/l/stor/x", "/l/stor/x"),
        ("//l/./stor/../x/", "/l/x"),
        ("~~", "/me"),
        ("~~/stor", "/me/stor"),
        ("/l/~~", "/l/~~"),
    ],
)
def test_a_path_is_normalised(given: str, path: str) -> None:
    assert normal_path(given, "me") == path


@pytest.mark.parametrize("given", ["", "/", "//", "x", "~~x", "~/x"])
def test_a_path_that_is_not_absolute_is_refused(given: str) -> None:
    with pytest.raises(MantaError, match="not a path in Manta"):
        normal_path(given, "me")

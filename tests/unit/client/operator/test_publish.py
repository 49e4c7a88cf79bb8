from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import fsspec
import pytest

from medusa.client.launchers.manta.api import MantaClient
from medusa.client.operator.publish import PublishError, publish, shown
from tests.stores import Reply, Store, refusal, store

ARCHIVE = b"#!/bin/sh\nexit 0\n\xff"


class Account:
    login = "poseidon"

    def authorization(self, method: str, target: str, host: str) -> list[tuple[str, str]]:
        return [("Authorization", f"{method} {target} {host}")]


def no_manta() -> NoReturn:
    raise AssertionError("not to be asked for")


def put(url: str) -> str:
    return publish(ARCHIVE, url, no_manta)


def failure(url: str) -> PublishError:
    with pytest.raises(PublishError) as caught:
        put(url)
    return caught.value


@pytest.fixture
def manta() -> Iterator[Store]:
    with store() as server:
        yield server


def put_into(manta: Store, path: str) -> str:
    return publish(ARCHIVE, f"manta:{path}", lambda: MantaClient(manta.url, Account(), sleep=lambda _: None))


@pytest.mark.parametrize("form", ["{}", "file://{}", "file://localhost{}", "FILE://{}", "local://{}"])
def test_a_file(tmp_path: Path, form: str) -> None:
    target = tmp_path / "agent.sh"
    target.write_bytes(b"old")
    with target.open("rb") as job:
        assert put(form.format(target)).endswith(f", at {form.format(target)}")
        assert job.read() == b"old"
    assert target.read_bytes() == ARCHIVE
    assert target.stat().st_mode & 0o777 == 0o755
    assert os.listdir(tmp_path) == ["agent.sh"]


def test_what_was_done_is_told(tmp_path: Path) -> None:
    digest = hashlib.sha256(ARCHIVE).hexdigest()
    assert put(f"{tmp_path}/x") == f"published {len(ARCHIVE)} bytes, sha256 {digest}, at {tmp_path}/x"


def test_a_file_urls_path_is_encoded_and_a_paths_is_not(tmp_path: Path) -> None:
    put(f"file://{tmp_path}/a%20b")
    put(f"{tmp_path}/c%20d:e")
    assert sorted(os.listdir(tmp_path)) == ["a b", "c%20d:e"]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("/nonexist/agent.sh", "/nonexist/agent.sh: No such file or directory"),
        ("file:///nonexist/\x1b", r"/nonexist/\x1b: No such file or directory"),
        ("/dev/null/x", "/dev/null/x: Not a directory"),
        ("a\0b", r"a\x00b: embedded null byte"),
        ("", "No such file or directory"),
    ],
)
def test_no_place_for_a_file(url: str, words: str) -> None:
    error = failure(url)
    assert words in str(error)
    assert not error.lasting


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("file://host/x", "file:///path"),
        ("nonsense://x", "no kind of store"),
        ("simplecache::https://u:geheim@h/p", ""),
        ("//u:geheim@h/p?geheim", ""),
    ],
)
def test_what_can_never_be(url: str, why: str) -> None:
    error = failure(url)
    assert error.lasting
    assert why in str(error)
    assert "geheim" not in str(error)


@pytest.mark.parametrize(("scheme", "name"), [("gs", "gcsfs"), ("gcs", "gcsfs"), ("s3", "s3fs"), ("https", "aiohttp")])
def test_what_to_install_is_said(monkeypatch: pytest.MonkeyPatch, scheme: str, name: str) -> None:
    for package in ("gcsfs", "s3fs", "fsspec.implementations.http"):
        monkeypatch.setitem(sys.modules, package, None)
    error = failure(f"{scheme}://bucket/key")
    assert str(error).endswith(f"{sys.executable} -m pip install {name}")
    assert error.lasting
    assert "\n" not in str(error)


def test_any_store_that_fsspec_knows() -> None:
    assert put("memory://place/agent.sh").endswith(", at memory://place/agent.sh")
    assert fsspec.filesystem("memory").cat_file("/place/agent.sh") == ARCHIVE


def test_a_store_that_keeps_something_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(fsspec.filesystem("memory")), "cat_file", lambda *_, **__: b"half")
    assert "what is read from there is not what was written: 4 bytes" in str(failure("memory://u:p@place/x"))


@pytest.mark.parametrize(
    "text",
    [
        "{url}",
        "cannot reach {url} as geheim1",
        "geheim1:geheim2 refused",
        "?X-Sig=geheim3%2F4&x=geheim5",
        "signature geheim3/4 expired",
    ],
)
def test_no_errors_text_tells_a_secret(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    url = "memory://geheim1:geheim2@place/x?X-Sig=geheim3%2F4&x=geheim5"

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError(text.format(url=url))

    monkeypatch.setattr(type(fsspec.filesystem("memory")), "pipe_file", fail)
    told = str(failure(url))
    assert told.startswith("memory://place/x: ")
    assert "geheim" not in told


@pytest.mark.parametrize(
    ("url", "seen"),
    [
        ("/a/b?c@d", "/a/b?c@d"),
        ("https://h:1/p", "https://h:1/p"),
        ("https://u:geheim@h/p?geheim#geheim", "https://h/p"),
        ("https://u:ge/heim@h/p", "https://h/p"),
        ("https://u:ge?heim@h/p", "https://..."),
        ("https://h/p?x=geheim@y", "https://..."),
        ("//u:geheim@h/p?geheim", "//..."),
        ("s3://b/\x1b", r"s3://b/\x1b"),
    ],
)
def test_a_url_as_it_is_shown(url: str, seen: str) -> None:
    assert shown(url) == seen


def test_into_a_manta(manta: Store) -> None:
    told = put_into(manta, "~~/public/medusa/agent.sh")
    assert told.endswith(", at manta:~~/public/medusa/agent.sh")
    assert manta.objects == {"/poseidon/public/medusa/agent.sh": ARCHIVE}
    assert [seen.method for seen in manta.seen] == ["PUT", "GET"]
    assert manta.seen[0].headers["content-type"] == "application/x-sh"


def test_directories_of_a_manta_are_made_when_they_are_missing(manta: Store) -> None:
    manta.replies = [refusal(404, "DirectoryDoesNotExist", "/poseidon/public/a/b does not exist")]
    put_into(manta, "/poseidon/public/a/b/agent.sh")
    assert [(seen.method, seen.target.removeprefix("/poseidon/public")) for seen in manta.seen] == [
        ("PUT", "/a/b/agent.sh"),
        ("PUT", "/a"),
        ("PUT", "/a/b"),
        ("PUT", "/a/b/agent.sh"),
        ("GET", "/a/b/agent.sh"),
    ]


@pytest.mark.parametrize(
    ("replies", "words"),
    [
        (
            [refusal(403, "AuthorizationFailed", "not for you")],
            "PUT /p/public/x: 403 AuthorizationFailedError: not for you",
        ),
        ([Reply(204), refusal(404, "ResourceNotFound", "gone")], "GET /p/public/x: 404 ResourceNotFoundError: gone"),
        ([Reply(204), Reply(200, ARCHIVE[:-1])], "not what was written"),
    ],
)
def test_a_manta_that_does_not_have_it(manta: Store, replies: list[Reply], words: str) -> None:
    manta.replies = [*replies]
    with pytest.raises(PublishError, match=words):
        put_into(manta, "/p/public/x")


def test_no_path_in_a_manta(manta: Store) -> None:
    with pytest.raises(PublishError, match="not a path in Manta"):
        put_into(manta, "poseidon")

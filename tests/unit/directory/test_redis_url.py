from __future__ import annotations

import pytest

from medusa.directory import DirectoryError
from medusa.directory.redis_url import parse


@pytest.mark.parametrize(
    ("url", "kind", "secure", "hosts", "path", "database"),
    [
        ("redis://h", "", False, [("h", 6379)], "", 0),
        ("rediss://h:1/3", "", True, [("h", 1)], "/3", 3),
        ("redis://[::1]:1/", "", False, [("::1", 1)], "/", 0),
        ("redis+unix:///run/a%20b/1", "unix", False, [], "/run/a b/1", 0),
        ("redis+sentinel://a,b:5/main", "sentinel", False, [("a", 26379), ("b", 5)], "/main", 0),
        ("rediss+sentinel://a/main/2", "sentinel", True, [("a", 26379)], "/main/2", 2),
        ("redis+cluster://a:1,b", "cluster", False, [("a", 1), ("b", 6379)], "", 0),
    ],
)
def test_forms(url: str, kind: str, secure: bool, hosts: list[tuple[str, int]], path: str, database: int) -> None:
    found = parse(url)
    assert (found.kind, found.secure, list(found.hosts), found.path) == (kind, secure, hosts, path)
    assert found.database == database
    assert (found.user, found.password, found.options) == (None, None, {})


def test_the_service_of_sentinels() -> None:
    assert parse("redis+sentinel://a/main/2").service == parse("redis+sentinel://a/main").service == "main"


@pytest.mark.parametrize(
    ("login", "user", "password"),
    [("u:p@", "u", "p"), (":p%40%3A@", None, "p@:"), ("u@", "u", None), ("u:@", "u", ""), (":a:b@", None, "a:b")],
)
def test_user_and_password(login: str, user: str | None, password: str | None) -> None:
    found = parse(f"redis://{login}h/1?prefix=x%3A")
    assert (found.user, found.password, found.options) == (user, password, {"prefix": "x:"})
    assert found.where == "redis://h/1"


def test_no_secret_is_shown() -> None:
    found = parse("redis+sentinel://u:secret1@h/main?sentinel_password=secret2")
    assert "secret" not in found.where + repr(found)


@pytest.mark.parametrize(
    "url",
    [
        "redis:",
        "redis:h",
        "redis://",
        "redis://a,b",
        "redis://h/x",
        "redis://h/1/2",
        "redis://h:99999",
        "redis://h:port",
        "redis://h#x",
        "redis://u:secret/1@h",
        "redis://u:secret@x@h",
        "redis://u:secret h",
        "redis+http://h",
        "redis+unix://",
        "redis+unix://h/path",
        "rediss+unix:///path",
        "redis+sentinel://h",
        "redis+sentinel://h/main/x",
        "redis+sentinel:///main",
        "redis+cluster://",
        "redis+cluster://h/0",
        "redis://h?prefix",
        "redis://h?prefix=a&prefix=b",
        "redis://h?password=secret",
    ],
)
def test_a_malformed_url_is_not_shown(url: str) -> None:
    with pytest.raises(DirectoryError) as caught:
        parse(url)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None

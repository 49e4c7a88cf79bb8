from __future__ import annotations

import pytest

from medusa.protocol.attach_path import AGENT, CLIENT, AttachPath, build, parse, parse_after_prefix


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("/attach/ID/master", AttachPath("ID", CLIENT)),
        ("/attach/a%2fB/slave", AttachPath("a%2fB", AGENT)),
        ("/attach//slave", AttachPath("", AGENT)),
        ("/al.ice@x/medusa/attach/ID/slave", AttachPath("ID", AGENT, "al.ice@x")),
        ("/attach/ID/other", None),
        ("/attach/ID/slave/", None),
        ("/attach/ID/slave\n", None),
        ("/attach/a/b/slave", None),
        ("/x/attach/ID/slave", None),
        ("/.x/medusa/attach/ID/slave", None),
        ("/" + "x" * 65 + "/medusa/attach/ID/slave", None),
        ("attach/ID/slave", None),
    ],
)
def test_what_a_path_says(path: str, meant: AttachPath | None) -> None:
    assert parse(path) == meant


@pytest.mark.parametrize("login", ["", "alice"])
@pytest.mark.parametrize("role", [CLIENT, AGENT])
def test_a_path_that_was_built_says_what_it_was_built_of(role: str, login: str) -> None:
    path = build("47/11 %:@+~", role, login)
    assert parse(path) == AttachPath("47%2F11%20%25:@+~", role, login)
    for prefix in ("", "/proxy", "/medusa/p"):
        assert parse_after_prefix(prefix + path) == (prefix, AttachPath("47%2F11%20%25:@+~", role, login))


def test_without_an_attach_path_at_its_end_a_path_is_none() -> None:
    assert parse_after_prefix("/attach/ID/slave/x") is None

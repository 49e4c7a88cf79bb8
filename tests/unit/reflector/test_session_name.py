from __future__ import annotations

import pytest

from medusa.reflector.session_name import CARRIED, SIDES, SessionName, attach_path_of, parse_path
from medusa.session import Side


@pytest.mark.parametrize("name", [SessionName("1"), SessionName("a/b"), SessionName("a/b", "alice")])
def test_a_name_is_read_from_its_string(name: SessionName) -> None:
    assert SessionName.read(str(name)) == name


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("/attach/ID/master", (SessionName("id"), Side.CLIENT)),
        ("/attach/a%2fB/slave", (SessionName("a/b"), Side.AGENT)),
        ("/alice/medusa/attach/ID/slave", (SessionName("id", "alice"), Side.AGENT)),
        ("/attach/ID/other", None),
        ("/attach/-/slave", None),
        ("/alice/medusa/attach/%2e/slave", None),
        ("/status", None),
    ],
)
def test_what_a_path_names(path: str, meant: object) -> None:
    assert parse_path(path) == meant


@pytest.mark.parametrize("side", SIDES.values())
@pytest.mark.parametrize("name", [SessionName("a"), SessionName("a/b:c@d+e", "alice"), SessionName("x", "carried")])
def test_the_path_of_a_name_names_it(name: SessionName, side: Side) -> None:
    path = attach_path_of(name, side)
    assert parse_path(path) == parse_path(CARRIED + path) == (name, side)

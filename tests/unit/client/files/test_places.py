"""What the command line of `medusa cp` names."""

from __future__ import annotations

import pytest

from medusa.client.files.places import Copy, Place, base_name, parse_copy, parse_place


@pytest.mark.parametrize(
    ("word", "session", "path"),
    [
        ("a", None, b"a"),
        ("./a:b", None, b"./a:b"),
        (":a", None, b":a"),
        ("train:", "train", b"."),
        ("train:a:b", "train", b"a:b"),
        ("train:/x/\udcff", "train", b"/x/\xff"),
    ],
)
def test_a_word_names_a_place(word: str, session: str | None, path: bytes) -> None:
    assert parse_place(word) == Place(session, path)


def test_what_to_copy() -> None:
    assert parse_copy(["a", "b", "t:c"]) == Copy("t", True, (b"a", b"b"), b"c")
    assert parse_copy(["t:a", "t:b", "c"]) == Copy("t", False, (b"a", b"b"), b"c")


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["a"], "where to"),
        (["a", "b"], "put SESSION: before"),
        (["t:a", "t:b"], "both sides are in sessions"),
        (["t:a", "b", "c"], "on one side"),
        (["t:a", "u:b", "c"], "on one side"),
        (["", "t:"], "empty"),
    ],
)
def test_what_cannot_be_copied(words: list[str], error: str) -> None:
    with pytest.raises(ValueError, match=error):
        parse_copy(words)


@pytest.mark.parametrize(
    ("path", "name"), [(b"/x/a//", b"a"), (b"a", b"a"), (b".", b"."), (b"../..", b"."), (b"/", b".")]
)
def test_name_of_a_copy(path: bytes, name: bytes) -> None:
    assert base_name(path) == name

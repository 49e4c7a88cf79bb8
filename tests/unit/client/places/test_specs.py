"""The values of -L, -R, -D and -W: each form of ssh(1), and what is none of them."""

from __future__ import annotations

import pytest

from medusa.client.places.specs import ALL, Forward, Place, Side, parse_forward, parse_target

WEB, SOCKET = Place("web", 80), Place(path="/run/web")

FORMS = {
    "1:web:80": (Place("", 1), WEB),
    " 0:web:80 ": (Place("", 0), WEB),
    "localhost:1:web:80": (Place("localhost", 1), WEB),
    ":1:web:80": (Place(ALL, 1), WEB),
    "*:1:[::1]:80": (Place(ALL, 1), Place("::1", 80)),
    "[fe80::1%eth0]:1:web:80": (Place("fe80::1%eth0", 1), WEB),
    "1:/run/web": (Place("", 1), SOCKET),
    "here:1:/run/web": (Place("here", 1), SOCKET),
    "./here:web:80": (Place(path="./here"), WEB),
    "/here:/run/web": (Place(path="/here"), SOCKET),
    r"/a\:b:/run/web": (Place(path="/a:b"), SOCKET),
    "[/a:b]:[/run/web]": (Place(path="/a:b"), SOCKET),
}

WRONG = [
    "",
    "1",
    "web:80",
    "a:web:80",
    "1:web:x",
    "1::80",
    "1:web:80:",
    "1:2:web:80:3",
    "/a:1:web:80",
    "/a",
    "[::1:1:web:80",
]
WRONG += [
    "[::1:1:web:80",
    "[::1]x:1:web:80",
    "65536:web:80",
    "1:web:0",
    "1:web:65536",
    "1:web:+8",
    "-1:web:80",
    f"1:{'w' * 256}:80",
]


@pytest.mark.parametrize("side", [Side.LOCAL, Side.REMOTE])
@pytest.mark.parametrize("text", FORMS)
def test_a_target(side: Side, text: str) -> None:
    assert parse_forward(side, text) == Forward(side, *FORMS[text])


@pytest.mark.parametrize("side", [Side.DYNAMIC, Side.REMOTE])
@pytest.mark.parametrize(
    ("text", "listen"),
    [
        ("1080", Place("", 1080)),
        ("0", Place()),
        (":1", Place(ALL, 1)),
        ("[::1]:1", Place("::1", 1)),
    ],
)
def test_socks(side: Side, text: str, listen: Place) -> None:
    assert parse_forward(side, text) == Forward(side, listen)


@pytest.mark.parametrize("text", WRONG)
def test_no_form(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not|is no port|has at most"):
        parse_forward(Side.LOCAL, text)


def test_socks_on_a_unix_socket() -> None:
    assert parse_forward(Side.REMOTE, "/a") == Forward(Side.REMOTE, Place(path="/a"))


@pytest.mark.parametrize("text", ["1:web:80", "web", "", "1:2:3", "/a"])
def test_no_place_for_socks(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not"):
        parse_forward(Side.DYNAMIC, text)


def test_a_target_alone() -> None:
    assert [parse_target(text) for text in ("web:80", "[::1]:80", "/run/web")] == [WEB, Place("::1", 80), SOCKET]
    for text in ("web", ":80", "web:0", "a:b:80", ""):
        with pytest.raises(ValueError, match=r"is not|is no port"):
            parse_target(text)


def test_as_text() -> None:
    assert [str(place) for place in (WEB, SOCKET, Place("::1", 1), Place("", 2))] == [
        "web:80",
        "/run/web",
        "[::1]:1",
        "127.0.0.1:2",
    ]

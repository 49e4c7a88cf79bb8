from __future__ import annotations

from typing import Any

import pytest

from medusa.protocol.errors import HandshakeError
from medusa.protocol.http.head import HeadReader, parse_request, parse_response
from medusa.protocol.websocket.handshake import accept_value, build_upgrade, check_accepted, check_upgrade

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
"""Of RFC 6455 section 1.3, as are the two heads below."""

REQUEST = {
    "Host": "server.example.com",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": KEY,
    "Origin": "http://example.com",
    "Sec-WebSocket-Protocol": "chat, superchat",
    "Sec-WebSocket-Version": "13",
}
RESPONSE = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": ACCEPT}


def check(first: str = "GET /chat HTTP/1.1", **changes: str | None) -> str:
    named = {name.replace("_", "-"): value for name, value in changes.items()}
    headers = {**REQUEST, **named}
    lines = [first, *(f"{name}: {value}" for name, value in headers.items() if value is not None)]
    return check_upgrade(parse_request("\r\n".join(lines).encode("latin-1")))


def accepted(first: str = "HTTP/1.1 101 Switching Protocols", **changes: str | None) -> None:
    named = {name.replace("_", "-"): value for name, value in changes.items()}
    lines = [first, *(f"{name}: {value}" for name, value in {**RESPONSE, **named}.items() if value is not None)]
    check_accepted(parse_response("\r\n".join(lines).encode("latin-1")), KEY)


def test_the_example_of_the_rfc() -> None:
    assert accept_value(KEY) == ACCEPT
    assert check() == KEY
    accepted()


@pytest.mark.parametrize(
    "changes",
    [
        {"Sec_WebSocket_Version": None},
        {"Connection": "keep-alive, Upgrade"},
        {"Connection": "UPGRADE"},
        {"Upgrade": "WebSocket"},
        {"Upgrade": "h2c, websocket"},
        {"Sec_WebSocket_Extensions": "permessage-deflate; client_max_window_bits"},
        {"Content_Length": "0"},
        {"Origin": None},
    ],
    ids=str,
)
def test_requests_of_real_clients_are_accepted(changes: dict[str, Any]) -> None:
    assert check(**changes) == KEY


@pytest.mark.parametrize(
    ("status", "changes"),
    [
        (405, {"first": "POST /chat HTTP/1.1"}),
        (405, {"first": "get /chat HTTP/1.1"}),
        (400, {"first": "GET /chat HTTP/1.0"}),
        (400, {"Upgrade": None}),
        (400, {"Upgrade": "h2c"}),
        (400, {"Upgrade": "websockets"}),
        (400, {"Connection": None}),
        (400, {"Connection": "close"}),
        (400, {"Content_Length": "5"}),
        (400, {"Transfer_Encoding": "chunked"}),
        (426, {"Sec_WebSocket_Version": "8"}),
        (426, {"Sec_WebSocket_Version": ""}),
        (426, {"Sec_WebSocket_Version": "13, 8"}),
        (400, {"Sec_WebSocket_Key": None}),
        (400, {"Sec_WebSocket_Key": ""}),
        (400, {"Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ"}),
        (400, {"Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25j"}),
        (400, {"Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZTE="}),
        (400, {"Sec_WebSocket_Key": "dGhlIHNhbXBs ZSBub25jZQ=="}),
        (400, {"Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZ\xe9=="}),
    ],
    ids=str,
)
def test_a_request_that_cannot_be_upgraded_gets_its_status(status: int, changes: dict[str, str]) -> None:
    with pytest.raises(HandshakeError) as caught:
        check(**changes)
    assert caught.value.http_status == status
    expected = {405: (("Allow", "GET"),), 426: (("Sec-WebSocket-Version", "13"),)}.get(status, ())
    assert caught.value.headers == expected


def test_our_own_request_is_sent_as_given_and_accepted() -> None:
    target = "/l/medusa/attach/a%2Fb/slave?expires=1&signature=a%2Bb%3D%3D"
    data = build_upgrade("Host.Example:8080", target, KEY, [("Authorization", 'Signature keyId="/l/keys/x"')])
    found = HeadReader().feed(data)
    assert found
    request = parse_request(found[0])
    assert found[1] == b""
    assert check_upgrade(request) == KEY
    assert (request.target, request.headers.get("host")) == (target, "Host.Example:8080")
    assert request.headers.get("authorization") == 'Signature keyId="/l/keys/x"'
    assert b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" in data


@pytest.mark.parametrize("changes", [{"Upgrade": "WebSocket"}, {"Connection": "upgrade"}, {"Server": "x"}], ids=str)
def test_answers_that_accept(changes: dict[str, str]) -> None:
    accepted(**changes)


@pytest.mark.parametrize(
    ("status", "changes"),
    [
        (404, {"first": "HTTP/1.1 404 Not Found"}),
        (200, {"first": "HTTP/1.1 200 OK"}),
        (502, {"Upgrade": None}),
        (502, {"Upgrade": "h2c"}),
        (502, {"Connection": "close"}),
        (502, {"Sec_WebSocket_Accept": None}),
        (502, {"Sec_WebSocket_Accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOp="}),
        (502, {"Sec_WebSocket_Accept": ACCEPT.lower()}),
        (502, {"Sec_WebSocket_Extensions": "permessage-deflate"}),
        (502, {"Sec_WebSocket_Protocol": "chat"}),
    ],
    ids=str,
)
def test_answers_that_do_not_accept(status: int, changes: dict[str, str]) -> None:
    with pytest.raises(HandshakeError) as caught:
        accepted(**changes)
    assert caught.value.http_status == status

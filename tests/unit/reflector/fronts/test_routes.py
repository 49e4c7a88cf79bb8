"""Who may use what asks nobody who he is. Everything else of the routes is tested from outside."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from medusa.protocol.http.head import parse_request
from medusa.reflector.admin.handlers import Administration
from medusa.reflector.admin.session_list import Listing
from medusa.reflector.config import ReflectorConfig
from medusa.reflector.fronts.admission import Doors
from medusa.reflector.fronts.routes import Application, check_internal
from tests.peers import upgrade
from tests.unit.reflector.registries import registry_parts


def ask(config: ReflectorConfig, peer: str, path: str, host: str = "localhost:8381") -> int:
    """The status that a peer of this address gets."""
    request = parse_request(upgrade(path, host=host).removesuffix(b"\r\n\r\n"))
    handler = SimpleNamespace(
        request=request, client_address=(peer, 4711), peer=peer, socket=object(), proxied=False, source=None
    )
    handler.head, handler.read_so_far, handler.origin = b"", b"", (peer, 4711)
    statuses: list[str] = []

    def start_response(status: str, headers: Any) -> None:
        statuses.append(status)

    parts = registry_parts(config)
    registry = parts.registry
    doors = Doors(config, registry, None, claims=parts.claims, metrics=parts.metrics)
    listing = Listing(registry, "here")
    internal = partial(check_internal, doors)
    administration = Administration(config, listing, parts.metrics, None, internal, doors.spend)
    application = Application(config, registry, doors, administration)
    list(application({"medusa.handler": handler}, start_response))
    return int(statuses[0][:3])


@pytest.mark.parametrize("path", ["/attach/id/slave", "/status"])
@pytest.mark.parametrize(
    ("peer", "near"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("192.0.2.1", False),
        ("10.0.0.1", False),
        ("::ffff:192.0.2.1", False),
        ("2001:db8::1", False),
    ],
)
def test_the_internal_api_is_for_this_host(peer: str, near: bool, path: str) -> None:
    served = 200 if path == "/status" else 404
    assert ask(ReflectorConfig(accounts="dir", bind_ip="0.0.0.0"), peer, path) == (served if near else 403)
    assert ask(ReflectorConfig(trusted_network=True, bind_ip="0.0.0.0"), peer, path) == served


def test_what_is_no_secret_is_for_everybody() -> None:
    assert ask(ReflectorConfig(accounts="dir", bind_ip="0.0.0.0"), "192.0.2.1", "/healthz") == 200


@pytest.mark.parametrize("path", ["/attach/id/slave", "/status"])
def test_where_loopback_is_not_this_host_alone_there_is_none(path: str) -> None:
    assert ask(ReflectorConfig(accounts="dir", front_door_only=True, trusted_network=True), "127.0.0.1", path) == 404


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8381", 200),
        ("[::1]:8381", 200),
        ("LOCALHOST", 200),
        ("192.0.2.1", 200),
        ("rebound.example:8381", 403),
        ("127.0.0.1.example", 403),
        ("x@localhost.evil", 403),
        ("[", 403),
        ("", 403),
    ],
)
def test_the_list_of_sessions_is_not_for_a_page_whose_name_leads_here(host: str, status: int) -> None:
    assert ask(ReflectorConfig(), "127.0.0.1", "/status", host) == status
    assert ask(ReflectorConfig(trusted_network=True), "127.0.0.1", "/status", host) == 200


def test_nor_for_anybody_where_nobody_is_to_be_told() -> None:
    assert ask(ReflectorConfig(no_status=True), "127.0.0.1", "/status") == 404

"""Who may use what asks nobody who he is. Everything else of the routes is tested from outside."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from medusa.directory import Owner
from medusa.directory.memory import MemoryDirectory
from medusa.protocol.head import parse_request
from medusa.reflector.config import ReflectorConfig
from medusa.reflector.registry import Registry
from medusa.reflector.routes import Application
from tests.peers import upgrade


def ask(config: ReflectorConfig, peer: str, path: str) -> int:
    """The status that a peer of this address gets."""
    request = parse_request(upgrade(path).removesuffix(b"\r\n\r\n"))
    handler = SimpleNamespace(request=request, client_address=(peer, 4711), peer=peer, socket=object())
    statuses: list[str] = []

    def start_response(status: str, headers: Any) -> None:
        statuses.append(status)

    application = Application(config, Registry(config, MemoryDirectory(), Owner("here")), None)
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

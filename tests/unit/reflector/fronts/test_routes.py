"""Which paths are there, and how they answer, without a socket. The rest is tested from outside."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from medusa.protocol.http.head import parse_request
from medusa.reflector.admin.handlers import Administration
from medusa.reflector.admin.lists.session_list import SessionList
from medusa.reflector.config import ReflectorConfig
from medusa.reflector.fronts.admission.admission import Admission
from medusa.reflector.fronts.refusal_log import RefusalLog
from medusa.reflector.fronts.routes import Application
from medusa.reflector.net.accepted import Accepted
from medusa.reflector.net.listen import HTTP
from tests.peers import upgrade
from tests.unit.reflector.registries import registry_parts


def ask(config: ReflectorConfig, host: str, request: bytes) -> tuple[int, bytes]:
    """The status and the body that a peer of this address gets."""
    parsed = parse_request(request.removesuffix(b"\r\n\r\n"))
    accepted = Accepted(HTTP, object(), (host, 4711), request=parsed)
    statuses: list[str] = []

    def start_response(status: str, headers: Any) -> None:
        statuses.append(status)

    parts = registry_parts(config)
    refusals = RefusalLog(config, parts.metrics)
    admission = Admission(config, parts.registry, None, claims=parts.claims, refusals=refusals)
    listing = SessionList(parts.registry, "here")
    reserve = admission.single_use.reserve
    administration = Administration(config, listing, parts.metrics, None, reserve, admission.count)
    application = Application(config, parts.registry, admission, administration)
    body = b"".join(application({"medusa.handler": SimpleNamespace(accepted=accepted)}, start_response))
    return int(statuses[0][:3]), body


def get(path: str, method: str = "GET") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


OPEN = ReflectorConfig(accounts="dir", bind_ip="0.0.0.0")


@pytest.mark.parametrize("path", ["/status", "/sessions", "/metrics"])
def test_sessions_and_numbers_are_for_this_host(path: str) -> None:
    assert ask(OPEN, "127.0.0.1", get(path))[0] == 200
    assert ask(OPEN, "192.0.2.1", get(path))[0] == 403
    assert ask(ReflectorConfig(no_status=True), "127.0.0.1", get(path))[0] == (200 if path == "/metrics" else 404)


def test_so_is_the_internal_api() -> None:
    attach = upgrade("/attach/id/slave")
    assert ask(OPEN, "127.0.0.1", attach) == (404, b"there is no such session\n")
    assert ask(OPEN, "192.0.2.1", attach)[0] == 403
    assert ask(ReflectorConfig(accounts="dir", front_door_only=True), "127.0.0.1", attach)[0] == 404


def test_health_is_for_everybody() -> None:
    assert ask(OPEN, "192.0.2.1", get("/healthz"))[0] == 200
    assert ask(OPEN, "192.0.2.1", get("/readyz")) == (200, b"ready\n")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("HEAD", "/healthz", 200),
        ("POST", "/healthz", 405),
        ("DELETE", "/sessions", 405),
        ("DELETE", "/sessions/id", 404),
        ("DELETE", "/attach/id/slave", 405),
        ("GET", "/", 404),
        ("GET", "/~carried/attach/id/slave", 404),
        ("GET", "/~carried/sessions", 404),
        ("GET", "/alice/medusa/attach/id/slave", 404),
        ("GET", "/attach/id/slave", 400),
    ],
)
def test_methods_and_paths(method: str, path: str, status: int) -> None:
    answered, body = ask(ReflectorConfig(), "127.0.0.1", get(path, method))
    assert answered == status
    assert bool(body) is (method != "HEAD")

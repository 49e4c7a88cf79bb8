"""The server in this process, for what its peers cannot bring about."""

from __future__ import annotations

from collections.abc import Iterator

import gevent
import gevent.socket
import pytest
from structlog.types import EventDict

from medusa.reflector.config import ConfigError, ReflectorConfig
from medusa.reflector.server import Reflector, wait_for_sessions
from medusa.reflector.session_name import SessionName
from medusa.session import Input
from tests.conftest import descriptors
from tests.peers import Answer
from tests.unit.reflector.conftest import GreenPeer, errors, until
from tests.unit.reflector.registries import new_registry

NAME = SessionName("id")


@pytest.fixture
def server(logs: list[EventDict]) -> Iterator[Reflector]:
    before = descriptors()
    server = Reflector(ReflectorConfig(port=0))
    server.start()
    yield server
    server.stop()
    server.wait()
    until(lambda: descriptors().items() <= before.items())


def ask(server: Reflector, path: str) -> Answer:
    host, port = server.url.removeprefix("http://").split(":")
    with GreenPeer(gevent.socket.create_connection((host, int(port)))) as peer:
        peer.send(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        return peer.answer()


def test_a_bug_in_a_route(server: Reflector, logs: list[EventDict], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.registry, "sessions", lambda: 1 / 0)
    answer = ask(server, "/status")
    assert (answer.status, answer.headers["connection"], answer.rest) == (500, "close", b"")
    assert errors(logs) == ["request failed"]
    monkeypatch.undo()
    assert ask(server, "/status").status == 200


def test_an_archive_that_is_gone(server: Reflector, logs: list[EventDict]) -> None:
    answer = ask(server, "/agent.sh")
    assert answer.status == 404
    assert b"make archive" in answer.rest


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ZeroDivisionError("of the test"), {"event": "internal error"}),
        (OSError(24, "x"), {"event": "the system refuses", "error": "Too many open files"}),
        (OSError("no number"), {"event": "the system refuses", "error": "no number"}),
    ],
)
def test_what_gevent_would_print_is_logged(
    server: Reflector,
    logs: list[EventDict],
    error: Exception,
    expected: dict[str, str],
    capfd: pytest.CaptureFixture[str],
) -> None:
    def fail() -> None:
        raise error

    gevent.spawn(fail).join()
    assert errors(logs) == [expected["event"]]
    assert expected.items() <= logs[-1].items()
    assert capfd.readouterr() == ("", "")


def test_drain_waits_for_the_sessions(server: Reflector, logs: list[EventDict]) -> None:
    server.registry.open(NAME, "a")
    begun = gevent.get_hub().loop.now()
    server._config = ReflectorConfig(drain_timeout=0.05)
    server.drain()
    assert gevent.get_hub().loop.now() - begun >= 0.04
    assert [entry["outcome"] for entry in logs if entry["event"] == "session ended"] == ["shut_down"]


def test_settings_are_checked_first() -> None:
    with pytest.raises(ConfigError):
        Reflector(ReflectorConfig(port=-1))


def test_draining_logs_its_progress(logs: list[EventDict]) -> None:
    registry = new_registry(ReflectorConfig())
    sessions = [registry.open(SessionName(name), "a") for name in ("one", "two")]
    waiter = gevent.spawn(wait_for_sessions, registry, 60, 0.01)
    for left in (2, 1):
        until(lambda left=left: [e for e in logs if e["event"] == "still draining" and e["sessions"] == left])  # type: ignore[misc]
        sessions.pop().tell(Input.CLIENT_REFUSED)
    waiter.get()
    progress = [entry for entry in logs if entry["event"] == "still draining"]
    assert all(0 < entry["left_s"] <= 60 for entry in progress)


def test_draining_ends_after_its_timeout(logs: list[EventDict]) -> None:
    registry = new_registry(ReflectorConfig())
    session = registry.open(SessionName("one"), "a")
    wait_for_sessions(registry, 0.01, 5.0)
    assert [entry["event"] for entry in logs] == ["session started", "draining"]
    session.tell(Input.CLIENT_REFUSED)

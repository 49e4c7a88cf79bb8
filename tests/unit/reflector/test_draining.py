from __future__ import annotations

import gevent
from structlog.testing import capture_logs

from medusa.directory import Owner
from medusa.directory.memory import MemoryDirectory
from medusa.reflector import draining
from medusa.reflector.config import ReflectorConfig
from medusa.reflector.session_name import SessionName
from medusa.session import Input
from tests.unit.reflector.registries import new_registry


def test_progress_is_told() -> None:
    registry = new_registry(ReflectorConfig(), MemoryDirectory(), Owner("here"))
    sessions = [registry.open(SessionName(name), "a") for name in ("one", "two")]
    with capture_logs() as logs:
        waiter = gevent.spawn(draining.wait_for_sessions, registry, 60, 0.01)
        for left in (2, 1):
            while not [e for e in logs if e["event"] == "still draining" and e["sessions"] == left]:
                gevent.sleep(0.005)
            sessions.pop().tell(Input.CLIENT_REFUSED)
        waiter.get()
    progress = [entry for entry in logs if entry["event"] == "still draining"]
    assert all(0 < entry["left_s"] <= 60 for entry in progress)


def test_it_does_not_wait_for_ever() -> None:
    registry = new_registry(ReflectorConfig(), MemoryDirectory(), Owner("here"))
    session = registry.open(SessionName("one"), "a")
    with capture_logs() as logs:
        draining.wait_for_sessions(registry, 0.01, 5.0)
    assert [entry["event"] for entry in logs] == ["draining"]
    session.tell(Input.CLIENT_REFUSED)

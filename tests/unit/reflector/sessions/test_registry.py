"""Opening and joining sessions, also with a directory that is slow or does not answer."""

from __future__ import annotations

import gevent
import gevent.event
from structlog.types import EventDict

from medusa.directory import Claim, DirectoryError, Owner
from medusa.directory.memory import MemoryDirectory
from medusa.reflector.config import ReflectorConfig
from medusa.session import Input
from tests.unit.reflector.conftest import errors, refused, run_loop, until
from tests.unit.reflector.registries import new_registry
from tests.unit.reflector.sessions.conftest import NAME, OWNER, Bench, outcomes


class Slow(MemoryDirectory):
    """Lets others run while it is asked, as one on a network does."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = gevent.event.Event()

    def claim(self, session_id: str, owner: Owner, ttl: float = 60) -> Claim:
        self.go_on.wait(5)
        return super().claim(session_id, owner, ttl)


def test_an_id_is_taken_from_the_claim_on(bench: Bench) -> None:
    session = bench.registry.open(NAME, "a")
    with refused(409):
        bench.registry.open(NAME, "b")
    with refused(404):  # an agent tries again then
        bench.registry.join(NAME)
    session.tell(Input.CLIENT_REFUSED)
    run_loop()
    assert bench.registry.sessions() == []
    bench.registry.open(NAME, "c").tell(Input.CLIENT_REFUSED)


def test_the_agents_place_is_kept_while_its_upgrade_is_under_way(bench: Bench) -> None:
    bench.waiting()
    bench.registry.join(NAME)
    with refused(409):
        bench.registry.join(NAME)


def test_nobody_new_while_draining(bench: Bench) -> None:
    bench.registry.draining = True
    with refused(503, retry_after=5):
        bench.registry.open(NAME, "a")


def test_a_directory_that_fails(logs: list[EventDict]) -> None:
    class Failing(MemoryDirectory):
        def claim(*_: object, **__: object) -> Claim:
            raise DirectoryError("no answer")

    with refused(503, retry_after=5):
        new_registry(ReflectorConfig(), Failing(), OWNER).open(NAME, "a")
    assert logs[0]["error"] == "no answer"


def test_draining_that_begins_while_the_directory_is_asked() -> None:
    directory = Slow()
    bench = Bench(directory)
    opening = gevent.spawn(bench.registry.open, NAME, "a")
    gevent.sleep(0)
    with refused(409):  # the first client has the id
        bench.registry.open(NAME, "b")
    bench.registry.draining = True
    directory.go_on.set()
    with refused(503, retry_after=5):
        opening.get()
    assert directory.lookup(str(NAME)) is None, "at once: a client that is refused may try another reflector"


def test_a_directory_that_fails_at_the_end(logs: list[EventDict]) -> None:
    class Failing(MemoryDirectory):
        def release(*_: object) -> None:
            raise DirectoryError("no answer")

    bench = Bench(Failing())
    bench.registry.open(NAME, "a").tell(Input.CLIENT_REFUSED)
    until(lambda: bench.claims.away)
    assert bench.registry.sessions() == []
    assert outcomes(logs) == ["refused"]
    assert errors(logs) == ["directory unavailable"]

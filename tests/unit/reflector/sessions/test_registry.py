"""Opening and joining sessions, also with a directory that is slow or does not answer."""

from __future__ import annotations

import gevent
import gevent.event
import pytest
from structlog.types import EventDict

from medusa.directory import Claim, DirectoryError, Owner
from medusa.directory.memory import MemoryDirectory
from medusa.reflector.config import ReflectorConfig
from medusa.reflector.refusal import Refusal
from medusa.session import Input
from tests.unit.reflector.registries import new_registry
from tests.unit.reflector.sessions.conftest import NAME, OWNER, Bench, errors, outcomes, run_loop, until


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
    with pytest.raises(Refusal) as caught:
        bench.registry.open(NAME, "b")
    assert caught.value.status == 409
    with pytest.raises(Refusal) as caught:
        bench.registry.join(NAME)
    assert caught.value.status == 404, "an agent tries again then"
    session.tell(Input.CLIENT_REFUSED)
    run_loop()
    assert bench.registry.sessions() == []
    bench.registry.open(NAME, "c").tell(Input.CLIENT_REFUSED)


def test_the_agents_place_is_kept_while_its_upgrade_is_under_way(bench: Bench) -> None:
    bench.waiting()
    bench.registry.join(NAME)
    with pytest.raises(Refusal) as caught:
        bench.registry.join(NAME)
    assert caught.value.status == 409


def test_nobody_new_while_draining(bench: Bench) -> None:
    bench.registry.draining = True
    with pytest.raises(Refusal) as caught:
        bench.registry.open(NAME, "a")
    assert (caught.value.status, caught.value.retry_after) == (503, 5)


def test_a_directory_that_fails(logs: list[EventDict]) -> None:
    class Failing(MemoryDirectory):
        def claim(*_: object, **__: object) -> Claim:
            raise DirectoryError("no answer")

    with pytest.raises(Refusal) as caught:
        new_registry(ReflectorConfig(), Failing(), OWNER).open(NAME, "a")
    assert (caught.value.status, caught.value.retry_after) == (503, 5)
    assert logs[0]["error"] == "no answer"


def test_draining_that_begins_while_the_directory_is_asked() -> None:
    directory = Slow()
    bench = Bench(directory)
    opening = gevent.spawn(bench.registry.open, NAME, "a")
    gevent.sleep(0)
    with pytest.raises(Refusal) as caught:
        bench.registry.open(NAME, "b")
    assert caught.value.status == 409, "the first client has the id"
    bench.registry.draining = True
    directory.go_on.set()
    with pytest.raises(Refusal) as caught:
        opening.get()
    assert (caught.value.status, caught.value.retry_after) == (503, 5)
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

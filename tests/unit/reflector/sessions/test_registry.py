"""Opening and joining sessions, also with a directory that is slow or does not answer."""

from __future__ import annotations

import random

import gevent
import gevent.event
import pytest
from structlog.types import EventDict

from medusa.directory import Claim, DirectoryError, Owner
from medusa.directory.memory import MemoryDirectory
from medusa.reflector.config import ReflectorConfig
from medusa.reflector.refusal import Refusal
from medusa.reflector.session_name import SessionName
from medusa.reflector.sessions.pair.driver import Pair
from medusa.reflector.sessions.registry import Registry
from medusa.session import Input
from tests.unit.reflector.conftest import errors, refused, run_loop, until
from tests.unit.reflector.registries import new_registry
from tests.unit.reflector.sessions.conftest import NAME, OWNER, Bench, outcomes
from tests.waiting import PATIENCE


class Slow(MemoryDirectory):
    """Lets others run while it is asked, as one on a network does."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = gevent.event.Event()
        self.error: DirectoryError | None = None

    def claim(self, session_id: str, owner: Owner, ttl: float = 60, lease: str = "") -> Claim:
        self.go_on.wait(PATIENCE)
        if self.error is not None:
            raise self.error
        return super().claim(session_id, owner, ttl, lease)


def test_an_id_is_taken_from_the_claim_on(bench: Bench) -> None:
    session = bench.registry.open(NAME, "a")
    with refused(409):
        bench.registry.open(NAME, "b")
    with refused(404):  # an agent tries again then
        bench.registry.add_agent(NAME)
    session.tell(Input.CLIENT_REFUSED)
    run_loop()
    assert bench.registry.sessions() == []
    bench.registry.open(NAME, "c").tell(Input.CLIENT_REFUSED)


def test_the_agents_place_is_kept_while_its_upgrade_is_under_way(bench: Bench) -> None:
    bench.waiting()
    bench.registry.add_agent(NAME)
    with refused(409):
        bench.registry.add_agent(NAME)


def test_nobody_new_while_draining(bench: Bench) -> None:
    bench.registry.draining = True
    with refused(503, retry_after=1):
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
    with refused(503, retry_after=1):
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


class TestPlaces:
    """A place is reserved before the directory is asked, and is given up once on every way out."""

    @staticmethod
    def crowd(registry: Registry, size: int) -> list[gevent.Greenlet[..., Pair]]:
        """Clients that all ask before the directory has answered any of them."""
        crowd = [gevent.spawn(registry.open, SessionName(str(at), "alice"), "a") for at in range(size)]
        run_loop()
        return crowd

    @staticmethod
    def statuses(crowd: list[gevent.Greenlet[..., Pair]]) -> list[int]:
        """What each was refused with, 0 for those that got in."""
        gevent.joinall(crowd)
        return [error.status if isinstance(error := opening.exception, Refusal) else 0 for opening in crowd]

    @pytest.mark.parametrize("limit", [{"max_sessions": 2}, {"max_sessions_per_login": 2}])
    def test_many_at_once(self, limit: dict[str, int]) -> None:
        directory = Slow()
        config = ReflectorConfig(**{"max_sessions_per_login": 0, **limit})  # type: ignore[arg-type]
        registry = new_registry(config, directory, OWNER)
        crowd = self.crowd(registry, 9)
        directory.go_on.set()
        status = 503 if "max_sessions" in limit else 429
        assert self.statuses(crowd) == [0] * 2 + [status] * 7
        for session in registry.sessions():
            session.tell(Input.CLIENT_REFUSED)
        run_loop()
        assert self.statuses(self.crowd(registry, 3)) == [0, 0, status]

    @pytest.mark.parametrize("way", ["fails", "taken", "drains", "breaks off"])
    def test_each_way_out_gives_it_up_once(self, way: str, logs: list[EventDict]) -> None:
        directory = Slow()
        registry = new_registry(ReflectorConfig(max_sessions=2, max_sessions_per_login=0), directory, OWNER)
        crowd = self.crowd(registry, 2)
        if way == "fails":
            directory.error = DirectoryError("no answer")
        elif way == "taken":
            for at in range(2):
                MemoryDirectory.claim(directory, str(SessionName(str(at), "alice")), Owner("other"))
        elif way == "breaks off":
            gevent.killall(crowd)
        registry.draining = way == "drains"
        directory.go_on.set()
        gevent.joinall(crowd)
        assert registry.sessions() == []
        assert len(registry._limits) == 0
        registry.draining, directory.error = False, None
        again = [gevent.spawn(registry.open, SessionName("again %d" % at), "a") for at in range(3)]
        assert self.statuses(again) == [0, 0, 503]

    def test_any_order_of_events(self) -> None:
        """Steps at random: nobody gets in above the limit, and at the end nothing is counted."""
        rng, directory = random.Random(1), Slow()
        registry = new_registry(ReflectorConfig(max_sessions=3, max_sessions_per_login=2), directory, OWNER)
        directory.go_on.set()
        openings: list[gevent.Greenlet[..., Pair]] = []
        for _ in range(400):
            step = rng.randrange(6)
            if step == 0:
                directory.go_on.clear() if directory.go_on.is_set() else directory.go_on.set()
            elif step == 1 and openings:
                rng.choice(openings).kill(block=False)
            elif step == 2 and registry.sessions():
                session = rng.choice(registry.sessions())
                for _ in range(rng.randrange(1, 3)):
                    session.tell(Input.CLIENT_REFUSED)
            elif step == 3:
                directory.error = DirectoryError("no answer") if rng.random() < 0.3 else None
            else:
                name = SessionName(rng.choice("abcd"), rng.choice(["alice", "bob", ""]))
                openings.append(gevent.spawn(registry.open, name, "a"))
            gevent.sleep(0)
            logins = [session.name.login for session in registry.sessions()]
            assert len(logins) <= 3
            assert max(map(logins.count, ("alice", "bob"))) <= 2
        directory.go_on.set()
        gevent.joinall(openings)
        for session in registry.sessions():
            session.tell(Input.KILLED)
        registry.wait_until_empty(5)
        assert len(registry._limits) == 0

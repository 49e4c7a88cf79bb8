"""Registry and live sessions in this process: what comes at one and the same moment, and what breaks."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable, Iterator

import gevent
import gevent.event
import gevent.socket
import pytest
from structlog.testing import capture_logs
from structlog.types import EventDict

from medusa.directory import Claim, DirectoryError, Owner
from medusa.directory.memory import MemoryDirectory
from medusa.reflector.config import ReflectorConfig, Timeouts
from medusa.reflector.refusal import Refusal
from medusa.reflector.session_name import SessionName
from medusa.reflector.sessions.driver import SessionDriver
from medusa.session import Input, SessionMachine, Side, State
from medusa.transports.adopt import adopt_websocket
from medusa.transports.relayed import RelayedTransport
from tests.peers import LINKUP, TEXT, Peer, close_frame, frame
from tests.unit.reflector.registries import new_registry, registry_parts
from tests.waiting import PATIENCE, Deadline, wait_until

NAME = SessionName("id")

OWNER = Owner("http://127.0.0.1:1")
CONFIG = ReflectorConfig(timeouts=Timeouts(close_timeout=0.1))


class GreenPeer(Peer):
    """Lets the rest of the process run while it waits."""

    def _more(self, deadline: Deadline, end_expected: bool = False) -> bool:
        gevent.socket.wait_read(self.sock.fileno(), deadline.left)
        return super()._more(deadline, end_expected)


class Bench:
    """A registry, and raw peers that are attached to its sessions."""

    def __init__(self, directory: MemoryDirectory) -> None:
        parts = registry_parts(CONFIG, directory, OWNER)
        self.registry, self.claims = parts.registry, parts.claims
        self._sockets: list[socket.socket] = []

    def link(self) -> tuple[Peer, RelayedTransport]:
        """The two ends of an upgraded connection."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            theirs = socket.create_connection(server.getsockname())
            ours, _ = server.accept()
        self._sockets.append(theirs)
        return GreenPeer(theirs), adopt_websocket(ours)

    def attach(self, session: SessionDriver, side: Side) -> Peer:
        peer, transport = self.link()
        session.attach(side, transport, "127.0.0.1:2")
        return peer

    def waiting(self) -> tuple[SessionDriver, Peer]:
        """A session whose client is here."""
        session = self.registry.open(NAME, "127.0.0.1:2")
        client = self.attach(session, Side.CLIENT)
        turn()
        assert session.machine.state is State.WAITING
        return session, client

    def linked(self) -> tuple[SessionDriver, Peer, Peer]:
        session, client = self.waiting()
        agent = self.attach(self.registry.join(NAME), Side.AGENT)
        turn()
        client.expect(TEXT, LINKUP)
        agent.expect(TEXT, LINKUP)
        return session, client, agent

    def close(self) -> None:
        for sock in self._sockets:
            sock.close()
        for session in self.registry.sessions():
            session.tell(Input.SHUTDOWN)
        self.registry.wait_until_empty(5)


def until(condition: Callable[[], object]) -> None:
    """Everybody else runs until `condition` holds."""
    wait_until(condition, nap=gevent.sleep)


def turn() -> None:
    """Everybody runs until they wait."""
    for _ in range(5):
        gevent.sleep(0)


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench(MemoryDirectory())
    yield bench
    bench.close()


@pytest.fixture
def logs() -> Iterator[list[EventDict]]:
    with capture_logs() as entries:
        yield entries


def records(logs: list[EventDict]) -> list[str]:
    return [entry["outcome"] for entry in logs if entry["event"] == "session ended"]


class Slow(MemoryDirectory):
    """Lets others run while it is asked, as one on a network does."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = gevent.event.Event()

    def claim(self, session_id: str, owner: Owner, ttl: float = 60) -> Claim:
        self.go_on.wait(5)
        return super().claim(session_id, owner, ttl)


class TestRefusals:
    def test_an_id_is_taken_from_the_claim_on(self, bench: Bench) -> None:
        session = bench.registry.open(NAME, "a")
        with pytest.raises(Refusal) as caught:
            bench.registry.open(NAME, "b")
        assert caught.value.status == 409
        with pytest.raises(Refusal) as caught:
            bench.registry.join(NAME)
        assert caught.value.status == 404, "an agent tries again then"
        session.tell(Input.CLIENT_REFUSED)
        turn()
        assert bench.registry.sessions() == []
        bench.registry.open(NAME, "c").tell(Input.CLIENT_REFUSED)

    def test_the_agents_place_is_kept_while_its_upgrade_is_under_way(self, bench: Bench) -> None:
        bench.waiting()
        bench.registry.join(NAME)
        with pytest.raises(Refusal) as caught:
            bench.registry.join(NAME)
        assert caught.value.status == 409

    def test_nobody_new_while_draining(self, bench: Bench) -> None:
        bench.registry.draining = True
        with pytest.raises(Refusal) as caught:
            bench.registry.open(NAME, "a")
        assert (caught.value.status, caught.value.retry_after) == (503, 5)

    def test_a_directory_that_fails(self, logs: list[EventDict], monkeypatch: pytest.MonkeyPatch) -> None:
        class Failing(MemoryDirectory):
            def claim(self, *_: object, **__: object) -> Claim:
                raise DirectoryError("no answer")

        with pytest.raises(Refusal) as caught:
            new_registry(ReflectorConfig(), Failing(), OWNER).open(NAME, "a")
        assert (caught.value.status, caught.value.retry_after) == (503, 5)
        assert logs[0]["error"] == "no answer"

    def test_draining_that_begins_while_the_directory_is_asked(self, monkeypatch: pytest.MonkeyPatch) -> None:
        directory = Slow()
        bench = Bench(directory)
        opening = gevent.spawn(bench.registry.open, NAME, "a")
        gevent.sleep(0)
        with pytest.raises(Refusal) as caught:
            bench.registry.open(NAME, "b")
        assert caught.value.status == 409, "whoever came first has the id"
        bench.registry.draining = True
        directory.go_on.set()
        with pytest.raises(Refusal) as caught:
            opening.get()
        assert (caught.value.status, caught.value.retry_after) == (503, 5)
        assert directory.lookup(str(NAME)) is None, "at once: who is refused may go to another reflector"

    def test_a_directory_that_fails_at_the_end(self, logs: list[EventDict]) -> None:
        class Failing(MemoryDirectory):
            def release(self, *_: object) -> None:
                raise DirectoryError("no answer")

        bench = Bench(Failing())
        bench.registry.open(NAME, "a").tell(Input.CLIENT_REFUSED)
        until(lambda: bench.claims.away)
        assert bench.registry.sessions() == []
        assert records(logs) == ["refused"]
        assert [entry["event"] for entry in logs if entry["log_level"] == "error"] == ["directory unavailable"]


class TestOneMoment:
    def test_shut_down_during_the_clients_upgrade(self, bench: Bench, logs: list[EventDict]) -> None:
        session = bench.registry.open(NAME, "a")
        session.tell(Input.SHUTDOWN)
        turn()
        client = bench.attach(session, Side.CLIENT)
        assert client.frame().close == (1000, "the session is over")
        assert records(logs) == ["shut_down"]

    @pytest.mark.parametrize("end", [close_frame(), None], ids=["close", "fin"])
    def test_the_client_goes_during_the_agents_upgrade(self, bench: Bench, logs: list[EventDict], end: bytes) -> None:
        session, client = bench.waiting()
        expected = bench.registry.join(NAME)
        client.send(end) if end else client.fin()
        until(lambda: not bench.registry.sessions())
        agent = bench.attach(expected, Side.AGENT)
        assert agent.closed() == (1000, "the session is over")
        assert records(logs) == ["lonely"]
        assert session.machine.state is State.ENDED

    @pytest.mark.parametrize("first", ["attach", "loss"])
    def test_the_client_is_lost_in_the_turn_in_which_the_agent_comes(
        self, bench: Bench, logs: list[EventDict], first: str
    ) -> None:
        session, client = bench.waiting()
        bench.registry.join(NAME)
        client.fin()
        if first == "loss":
            leg = session._endpoints[Side.CLIENT]
            assert select.select([leg.transport.fileno()], [], [], PATIENCE)[0]
            leg._on_readable()
        agent = bench.attach(session, Side.AGENT)
        if first == "attach":
            agent.expect(TEXT, LINKUP)
            assert agent.closed() == (1000, "remote connection reset")
        else:
            assert agent.closed() == (1000, "the session is over")
        until(lambda: records(logs))
        assert records(logs) == ["lost" if first == "attach" else "lonely"]

    @pytest.mark.parametrize("order", [1, -1])
    @pytest.mark.parametrize(
        "happened", [Input.CLIENT_CLOSED, Input.CLIENT_LOST, Input.CLIENT_BROKE_RULES, Input.SHUTDOWN, None]
    )
    def test_what_ends_the_wait_and_the_waits_deadlines(
        self, bench: Bench, logs: list[EventDict], happened: Input | None, order: int
    ) -> None:
        session, _ = bench.waiting()
        session._deadlines._timed = dict([(Input.WAIT_PULSE, 0.0), (Input.WAIT_EXPIRED, 0.0)][::order])
        if happened is not None:
            session.tell(happened)
        session._step()
        until(lambda: records(logs))
        assert records(logs) in (["lonely"], ["ended"], ["shut_down"], ["expired"])
        assert not [entry for entry in logs if entry["log_level"] == "error"]

    def test_an_agent_that_comes_behind_the_end(self, bench: Bench, logs: list[EventDict]) -> None:
        session, client = bench.waiting()
        bench.registry.join(NAME)
        session.tell(Input.SHUTDOWN)
        agent = bench.attach(session, Side.AGENT)
        assert agent.frame().close == (1000, "the session is over")
        assert agent.until_fin() == b""
        assert client.closed() == (1001, "the reflector is shutting down")
        until(lambda: records(logs))
        assert records(logs) == ["shut_down"]

    def test_an_agent_and_a_pulse(self, bench: Bench, logs: list[EventDict]) -> None:
        session, client = bench.waiting()
        session._deadlines._timed[Input.WAIT_PULSE] = 0.0
        agent = bench.attach(bench.registry.join(NAME), Side.AGENT)
        turn()
        client.expect(TEXT, LINKUP)
        agent.expect(TEXT, LINKUP)
        assert session.machine.state is State.LINKED


class TestBugs:
    """What should never happen costs its own session and no more."""

    def test_in_the_sessions_greenlet(self, bench: Bench, logs: list[EventDict]) -> None:
        session, client, agent = bench.linked()
        session.machine = SessionMachine()
        client.send(close_frame())
        assert client.frame().close == (1000, "")
        client.until_fin()
        assert agent.frame().close == (1000, "the session is over")
        agent.until_fin()
        assert bench.registry.sessions() == []
        assert records(logs) == ["ended"]
        assert [entry["event"] for entry in logs if entry["log_level"] == "error"] == ["session failed"]

    def test_in_a_callback_on_the_loop(
        self, bench: Bench, logs: list[EventDict], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        session, client, agent = bench.linked()

        def fail() -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(session._endpoints[Side.CLIENT].pump, "step", fail)
        client.send(frame(TEXT, b"x"))
        client.until_fin()
        assert agent.closed() == (1000, "remote connection reset")
        until(lambda: records(logs))
        assert records(logs) == ["lost"]
        assert [entry["event"] for entry in logs if entry["log_level"] == "error"] == ["internal error"]

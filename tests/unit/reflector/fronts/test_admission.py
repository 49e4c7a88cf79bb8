from __future__ import annotations

import time

import gevent
import pytest

from medusa.directory import Owner
from medusa.directory.memory import MemoryDirectory
from medusa.protocol.http.head import Headers, Request
from medusa.reflector.auth.single_use import ReservedMark
from medusa.reflector.config import ReflectorConfig, Timeouts
from medusa.reflector.fronts.admission.admission import Admission
from medusa.reflector.fronts.refusal_log import RefusalLog
from medusa.reflector.net.accepted import Accepted
from medusa.reflector.net.listen import HTTP
from medusa.reflector.refusal import Refusal
from medusa.reflector.session_name import SessionName
from medusa.session import Side
from medusa.transports.relayed import RelayedTransport
from tests.unit.reflector.conftest import refused
from tests.unit.reflector.registries import registry_parts

NAME, HERE, THERE = SessionName("id"), Owner("http://127.0.0.1:1"), Owner("http://127.0.0.1:2")


class Bench:
    """Admission without accounts, and another reflector that holds NAME."""

    def __init__(self) -> None:
        config = ReflectorConfig(timeouts=Timeouts(refusal_delay=4.0, refusal_log_rate=1))
        directory = MemoryDirectory()
        directory.claim(str(NAME), THERE)
        parts = registry_parts(config, directory, HERE)
        self.registry = parts.registry
        refusals = RefusalLog(config, parts.metrics)
        self.admission = Admission(config, parts.registry, None, self, claims=parts.claims, refusals=refusals)
        self.forwarded: list[tuple[Owner, SessionName, Side]] = []
        self.answer: Refusal | None = None
        self.accepted = Accepted(HTTP, None, ("192.0.2.1", 4711))

    def forward(
        self, accepted: Accepted, owner: Owner, name: SessionName, side: Side, reserved: ReservedMark | None
    ) -> Refusal | None:
        self.forwarded.append((owner, name, side))
        return self.answer


@pytest.fixture
def bench() -> Bench:
    return Bench()


def asking(*fields: tuple[str, str]) -> Request:
    return Request("GET", "/attach/x/master", "HTTP/1.1", Headers(list(fields)))


def fail() -> RelayedTransport:
    raise BrokenPipeError


class TestWhereAPeerGoes:
    def test_an_agent_goes_to_the_owner_of_its_session(self, bench: Bench) -> None:
        assert bench.admission.enter(bench.accepted, NAME, Side.AGENT, fail) is None
        assert bench.forwarded == [(THERE, NAME, Side.AGENT)]

    def test_a_client_that_joins_goes_to_the_owner_of_its_session(self, bench: Bench) -> None:
        bench.accepted.request = asking(("medusa-join", "1"))
        assert bench.admission.enter(bench.accepted, NAME, Side.CLIENT, fail) is None
        assert bench.forwarded == [(THERE, NAME, Side.CLIENT)]

    def test_a_refusal_that_the_owner_has_answered_is_returned(self, bench: Bench) -> None:
        bench.answer = Refusal(409, "refused by the owner")
        assert bench.admission.enter(bench.accepted, NAME, Side.AGENT, fail) is bench.answer

    def test_a_forwarded_agent_is_not_forwarded_again(self, bench: Bench) -> None:
        with refused(404, "there is no such session"):
            bench.admission.enter_forwarded(bench.accepted, NAME, Side.AGENT, fail, None)
        assert bench.forwarded == []

    @pytest.mark.parametrize(("login", "side", "status"), [("", Side.CLIENT, 503), ("alice", Side.AGENT, 404)])
    def test_a_forwarded_peer_that_opens_a_session_or_has_shown_nothing(
        self, bench: Bench, login: str, side: Side, status: int
    ) -> None:
        with refused(status, retry_after=int(status == 503)):
            bench.admission.enter_forwarded(bench.accepted, SessionName("new", login), side, fail, None)
        assert bench.registry.sessions() == []

    def test_a_client_whose_session_lives_elsewhere_already_goes_to_its_owner(self, bench: Bench) -> None:
        assert bench.admission.enter(bench.accepted, NAME, Side.CLIENT, fail) is None
        assert bench.forwarded == [(THERE, NAME, Side.CLIENT)]


def test_a_client_that_breaks_off_during_its_upgrade_leaves_no_session(bench: Bench) -> None:
    with pytest.raises(BrokenPipeError):
        bench.admission.enter(bench.accepted, SessionName("new"), Side.CLIENT, fail)
    bench.registry.wait_until_empty(5)
    assert bench.registry.sessions() == []


def test_a_refusal_is_held_back_for_what_is_left_of_its_time(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(gevent, "sleep", slept.append)
    monkeypatch.setattr(time, "monotonic", lambda: 100.0)
    bench.admission.hold_back(99.0)
    bench.admission.hold_back(0.0)
    assert slept == [3.0, 0.0]

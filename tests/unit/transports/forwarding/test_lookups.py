from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from medusa.transports.dial.race import Address
from medusa.transports.forwarding.lookups import MAX_KNOWN, MAX_LOOKUPS, Lookups
from medusa.transports.steps import Steps, Wait, Work
from tests.waiting import Clock

FOUND = [Address(socket.AF_INET, ("192.0.2.1", 0)), Address(socket.AF_INET6, ("2001:db8::1", 0, 0, 0))]
WITH_PORT = [Address(socket.AF_INET, ("192.0.2.1", 80)), Address(socket.AF_INET6, ("2001:db8::1", 80, 0, 0))]

Found = Work[list[Address]]


class Helpers:
    """In place of helper processes. Each has the number of its start as its descriptor."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.started: list[str] = []
        self.ended: list[str] = []
        self.lookups = Lookups(self.clock, self._start)

    def _start(self, host: str, port: int, deadline: float) -> Steps[list[Address]]:
        self.started.append(host)
        try:
            if not (yield Wait({len(self.started): 1}, deadline)):
                raise TimeoutError("late")
            if "unknown" in host:
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            return FOUND
        finally:
            self.ended.append(host)

    def ask(self, host: str) -> Found:
        """One that waits for the addresses of a host."""
        work = Work(self.lookups.find(host, 80, self.clock() + 20))
        work.step({}, self.clock())
        return work

    def answer(self, number: int, *works: Found) -> list[list[Address] | None]:
        """The helper with this number answers. What those that wait have then."""
        return [work.step({number: 1}, self.clock()) for work in works]


@contextmanager
def unknown() -> Iterator[None]:
    with pytest.raises(socket.gaierror, match="not known"):
        yield


def test_many_that_ask_for_one_name_have_one_helper() -> None:
    helpers = Helpers()
    works = [helpers.ask("node17") for _ in range(500)]
    assert helpers.started == ["node17"]
    assert helpers.answer(1, *works) == [WITH_PORT] * 500
    helpers.clock.sleep(9)
    assert Work(helpers.lookups.find("node17", 80, helpers.clock() + 20)).step({}, helpers.clock()) == WITH_PORT
    helpers.clock.sleep(2)
    helpers.ask("node17")
    assert helpers.started == ["node17"] * 2


def test_no_more_helpers_than_there_may_be() -> None:
    helpers = Helpers()
    works = [helpers.ask(f"node{number}") for number in range(MAX_LOOKUPS + 2)]
    assert len(helpers.started) == MAX_LOOKUPS
    assert helpers.answer(1, works[0], works[-2]) == [WITH_PORT, None]
    assert len(helpers.started) == MAX_LOOKUPS + 1


def test_a_name_that_is_not_known() -> None:
    helpers = Helpers()
    first, second = helpers.ask("unknown"), helpers.ask("unknown")
    for work in (first, second):
        with unknown():
            helpers.answer(1, work)
    helpers.clock.sleep(2)
    helpers.ask("unknown")
    assert helpers.started == ["unknown"] * 2


def test_a_helper_that_does_not_answer() -> None:
    helpers = Helpers()
    work = helpers.ask("node17")
    helpers.clock.sleep(20)
    with pytest.raises(socket.timeout):
        work.step({}, helpers.clock())
    assert helpers.ended == ["node17"]


def test_helpers_end_with_the_last_one_that_waits() -> None:
    helpers = Helpers()
    works = [helpers.ask("node17"), helpers.ask("node17"), helpers.ask("node18")]
    for work in works[1:]:
        work.close()
    assert helpers.ended == []
    works[0].close()
    assert helpers.ended == ["node17", "node18"]


def test_what_is_kept_is_bounded() -> None:
    helpers = Helpers()
    for number in range(MAX_KNOWN + 5):
        assert helpers.answer(number + 1, helpers.ask(f"node{number}")) == [WITH_PORT]
    assert len(helpers.lookups._known) == MAX_KNOWN


@pytest.mark.parametrize("name", ["localhost", "LocalHost."])
def test_localhost_is_not_looked_up(name: str) -> None:
    helpers = Helpers()
    found = Work(helpers.lookups.find(name, 80, 1.0)).step({}, helpers.clock())
    assert [address.host for address in found or ()] == ["::1", "127.0.0.1"]
    assert helpers.started == []

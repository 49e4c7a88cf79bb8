from __future__ import annotations

from typing import cast

import pytest

from agent.dial.first import Unreachable
from agent.wrap.wait import wait_for_client
from medusa.transports.base import Transport
from medusa.transports.dial import ConnectRefused


class World:
    """A clock that sleeping moves, and a reflector that answers as it is told."""

    def __init__(self, *answers: ConnectRefused | None) -> None:
        self.answers = list(answers)
        self.now = 0.0
        self.log: list[str] = []
        self.at: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def attempt(self, left: float) -> Transport:
        self.at.append(self.now)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is not None:
            raise answer
        return cast("Transport", self)

    def hold(self, seconds: float = 600) -> Transport:
        return wait_for_client(self.attempt, seconds, self.log.append, lambda: 0.0, self.sleep, lambda: self.now)


def refused(status: int | None) -> ConnectRefused:
    return ConnectRefused("no", status=status)


def test_nobody_is_asked_for_gently_and_said_rarely() -> None:
    world = World(*[refused(404)] * 100, None)
    world.hold()
    assert world.at == [3.0 * n for n in range(101)]
    assert world.log == [f"holding for another {600 - 60 * n} s" for n in range(1, 6)]


def test_a_refusal_says_when_to_come_back() -> None:
    world = World(ConnectRefused("busy", status=429, retry_after=50), refused(404), None)
    world.hold()
    assert world.at == [0.0, 50.0, 53.0]


def test_the_hold_ends() -> None:
    world = World(refused(404))
    with pytest.raises(Unreachable, match="nobody came in 10 s"):
        world.hold(10)
    assert world.at[-1] == 10


def test_another_reason_is_said_once() -> None:
    world = World(*[refused(503)] * 5, *[refused(404)] * 3, None)
    world.hold()
    said = [line for line in world.log if "not connected" in line]
    assert said == ["not connected: no (status 503); holding all the same"]


def test_a_machine_is_not_kept_for_a_service_that_is_down() -> None:
    world = World(refused(None))
    with pytest.raises(Unreachable, match="no"):
        world.hold()
    assert 90 <= world.now < 120


def test_a_refusal_for_good_ends_it() -> None:
    world = World(ConnectRefused("no", 403, retryable=False))
    with pytest.raises(Unreachable, match="403"):
        world.hold()
    assert world.now == 0

"""What happens to the input if the user leaves a session: what was typed before the escape is sent first."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, cast

import pytest

from medusa.client.session.detaching import leaving
from medusa.client.session.detaching.leaving import Leaving
from medusa.client.session.ending import Ending, SessionEnded
from medusa.client.session.input.user_input import UserInput
from medusa.transports.link import LinkLost, Loss
from tests.waiting import MS, PATIENCE

if TYPE_CHECKING:
    from medusa.client.session.remote.base import Remote


WORDS = "input was dropped, because the command does not read it: %d bytes or more"


class Side:
    """An agent's side.

    Args:
        room: how many bytes of input it takes at once.
        rounds: how many calls of `flush` it takes before the bytes that it has taken have left.
        is_lost: True if its link is lost for good in the first round.

    Attributes:
        done: what was done, in order: the bytes that were sent, "detach", "part".
    """

    detachable, parted, detached = True, False, False

    def __init__(self, room: int, *, rounds: int = 0, is_lost: bool = False) -> None:
        self.room, self._rounds, self._is_lost = room, rounds, is_lost
        self._wakes = rounds > 0 or not room
        self.done: list[bytes | str] = []

    @property
    def sending(self) -> bool:
        return self._rounds > 0

    def settled(self) -> Side:
        return self

    def receive(self, room: int) -> bytes:
        return b""

    def send(self, data: bytes) -> None:
        self._rounds += 1
        self.done.append(data)

    def flush(self) -> None:
        if self._is_lost:
            raise LinkLost(Loss.BROKEN)
        self._rounds = max(0, self._rounds - 1)

    def keep_alive(self) -> None:
        pass

    def deadline(self) -> float:
        return time.monotonic() if self._wakes else math.inf

    def wanted(self, room: int) -> dict[int, int]:
        return {}

    def step(self, events: Mapping[int, int]) -> None:
        pass

    def lost(self, lost: LinkLost) -> None:
        raise lost

    def detach(self) -> None:
        assert not self.sending
        self.done.append("detach")
        self.detached = not self._is_lost

    def part(self, take: Callable[[int], bytes]) -> None:
        self.done.append("part")


def leave(side: Side, typed: bytes = b"make all\r") -> SessionEnded:
    """Lets the user leave after `typed`. Returns how the session ends."""
    waiting, way_out = UserInput(b"~"), Leaving()
    assert not list(waiting.feed(typed))
    remote = cast("Remote", side)
    way_out.check(remote)
    return way_out.at_end(SessionEnded(Ending.DETACHED), remote, waiting)


@pytest.mark.parametrize("rounds", [0, 3])
def test_the_input_has_left_before_the_agent_is_asked(rounds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaving, "INPUT_TIMEOUT", PATIENCE)  # nothing waits for it
    side = Side(4, rounds=rounds)
    ended = leave(side)
    assert (ended.ending, str(ended)) == (Ending.DETACHED, "")
    assert side.done == [b"make", b" all", b"\r", "detach"]


def test_an_agent_that_takes_no_input_is_asked_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaving, "INPUT_TIMEOUT", 10 * MS)
    side = Side(0)
    ended = leave(side)
    assert (ended.ending, str(ended)) == (Ending.DETACHED, WORDS % 9)
    assert side.done == ["detach"]


def test_a_link_that_is_lost_meanwhile_leaves_the_request_to_the_guard() -> None:
    side = Side(4, is_lost=True)
    assert leave(side).ending is Ending.PARTED
    assert side.done == ["detach", "part"]

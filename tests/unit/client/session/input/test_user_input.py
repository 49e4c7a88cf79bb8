from __future__ import annotations

import math

import pytest

from medusa.client.session.input.escape import Action
from medusa.client.session.input.user_input import UserInput
from medusa.client.timeouts import Timeouts


def test_escapes_are_taken_out_and_bytes_leave_in_pieces() -> None:
    typed = UserInput(b"~")
    assert list(typed.feed(b"ls\r~?~i~~x")) == [Action.HELP, Action.INFO]
    assert len(typed.waiting) == 5
    assert (typed.take(3), typed.take(10), typed.take(10)) == (b"ls\r", b"~x", b"")


def test_what_follows_an_escape_is_not_sent_if_the_user_leaves_there() -> None:
    typed = UserInput(b"~")
    for action in typed.feed(b"ls\r~?x\r~d; rm x\r"):
        if action is Action.DETACH:
            break
    assert typed.take(100) == b"ls\rx\r"


@pytest.mark.parametrize(
    ("data", "sent"),
    [
        (b"a line\n", b"a line\n\x04"),
        (b"no line", b"no line\x04\x04"),
        (b"", b"\x04"),
        (b"x\n~", b"x\n~\x04\x04"),
    ],
)
def test_the_end_of_input_is_sent_as_a_terminal_sends_it(data: bytes, sent: bytes) -> None:
    typed = UserInput(b"~")
    assert not list(typed.feed(data))
    assert not typed.ended
    typed.end(0)
    assert typed.ended
    assert typed.take(100) == sent


def test_the_end_of_input_is_repeated_at_growing_intervals() -> None:
    typed = UserInput(None, Timeouts(end_of_input_interval=1, end_of_input_longest_interval=4))
    assert typed.deadline == math.inf
    typed.end(0)
    sent_at = []
    for now in range(20):
        typed.repeat_end(now)
        if typed.take(10):
            sent_at.append(now)
    assert sent_at == [0, 1, 3, 7, 11, 15, 19]


def test_nothing_is_repeated_while_bytes_wait_for_the_link() -> None:
    typed = UserInput(None)
    typed.end(0)
    typed.repeat_end(1000)
    assert typed.deadline == math.inf
    assert typed.take(10) == b"\x04"
    assert typed.deadline == 1

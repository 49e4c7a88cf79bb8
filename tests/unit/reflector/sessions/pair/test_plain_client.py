from __future__ import annotations

import pytest

from medusa.protocol.control import Control, Error, Exit, Start, Started, build, parse
from medusa.protocol.messages import Close
from medusa.reflector.sessions.pair import plain_client


def test_it_asks_for_a_shell_with_the_agents_defaults() -> None:
    assert parse(plain_client.START_TEXT) == Start()


@pytest.mark.parametrize("last", [Exit(), Exit(status=1), Error("no such file")])
def test_it_closes_after_the_agents_last_word(last: Control) -> None:
    assert plain_client.reply([build(Started(1)).encode(), build(last).encode()]) == Close(1000, "done")


def test_it_answers_nothing_else() -> None:
    assert plain_client.reply([b"", b"ping", build(Started(1)).encode()]) is None

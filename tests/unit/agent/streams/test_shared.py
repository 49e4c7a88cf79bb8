from __future__ import annotations

from agent.session.loop import MAX_LINKS
from agent.streams.shared import MAX_MEMORY, Shared
from agent.terminals.registry import MAX_TERMINALS


def test_limits_of_one_agent() -> None:
    assert (MAX_MEMORY, MAX_TERMINALS, MAX_LINKS) == (48 * 1024 * 1024, 16, 256)


def test_the_preface_is_for_the_first_terminal() -> None:
    shared = Shared(b"look")
    assert [shared.take_preface(), shared.take_preface()] == [b"look", b""]

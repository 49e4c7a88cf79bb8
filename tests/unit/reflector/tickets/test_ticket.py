from __future__ import annotations

import pytest

from medusa.reflector.session_name import SessionName
from medusa.reflector.tickets.ticket import MAX_TICKET, BadTicket, Ticket, build, life, read
from medusa.session import Side

NAME = SessionName("4711/a", "fred")
KEY, NOW = b"k" * 32, 1_800_000_000
BIRTH, INCARNATION, FINGERPRINT = "0123456789abcdef", "c" * 32, "SHA256:" + "A" * 43
TICKET = Ticket(NOW + 60, 40, NOW - 5, BIRTH, INCARNATION, "jane", FINGERPRINT)


@pytest.mark.parametrize(
    "ticket", [TICKET, Ticket(NOW + 1, 0, 0, BIRTH), TICKET._replace(user="j" * 128, session_name="n" * 64)], ids=str
)
@pytest.mark.parametrize("side", Side)
def test_what_is_built_is_read(ticket: Ticket, side: Side) -> None:
    text = build(ticket, NAME, side, KEY)
    assert 0 < len(text) <= MAX_TICKET
    assert read(text, NAME, side, KEY, NOW) == ticket


def test_there_is_no_ticket_that_is_too_long() -> None:
    assert build(TICKET._replace(user="j" * 400), NAME, Side.CLIENT, KEY) == ""


@pytest.mark.parametrize(
    ("name", "side", "key", "now", "words"),
    [
        (NAME._replace(session_id="4711"), Side.AGENT, KEY, NOW, "another session"),
        (NAME._replace(login="jane"), Side.AGENT, KEY, NOW, "login"),
        (NAME._replace(login=""), Side.AGENT, KEY, NOW, "login"),
        (NAME, Side.CLIENT, KEY, NOW, "side"),
        (NAME, Side.AGENT, b"x" * 32, NOW, "another key"),
        (NAME, Side.AGENT, KEY, NOW + 60, "expired 0 s ago"),
        (NAME, Side.AGENT, KEY, NOW + 75, "expired 15 s ago"),
    ],
)
def test_a_ticket_opens_one_side_of_one_session_until_it_expires(
    name: SessionName, side: Side, key: bytes, now: int, words: str
) -> None:
    text = build(TICKET, NAME, Side.AGENT, KEY)
    with pytest.raises(BadTicket, match=words) as caught:
        read(text, name, side, key, now)
    assert text.split(".")[2] not in str(caught.value)


@pytest.mark.parametrize(("hold", "seconds"), [(0, 0), (1, 2), (2, 3), (3600, 5400)])
def test_a_ticket_lives_for_its_hold_and_half_of_it(hold: int, seconds: int) -> None:
    assert life(hold) == seconds
    assert Ticket(0, hold, 0, BIRTH).half_life == seconds / 2

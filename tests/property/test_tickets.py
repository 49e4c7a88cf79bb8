"""No change of a ticket, and no other session, side or login, gives a ticket that opens anything."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medusa.reflector.session_name import SessionName
from medusa.reflector.tickets.ticket import BadTicket, Ticket, build, read
from medusa.session import Side

NOW, KEY = 1_800_000_000, bytes(range(32))
HEX, WORD = "0123456789abcdef", st.text("ab~/.:-_1", min_size=1, max_size=6)
NAMES = st.builds(SessionName, WORD, st.text("abc", max_size=3))
TICKETS = st.builds(
    Ticket,
    st.integers(NOW + 1, 10**12 - 1),
    st.integers(0, 10**9 - 1),
    st.integers(0, NOW),
    st.text(HEX, min_size=16, max_size=16),
    st.sampled_from(("", "e" * 32)),
    st.sampled_from(("", "jane", "j.d@x-y_z")),
    st.sampled_from(("", "SHA256:" + "b/+" * 14 + "c", ":".join(["0f"] * 16))),
    st.sampled_from(("", "train", "n" * 64)),
)
DIGITS = st.text("aZ0_-", max_size=43)
ANY = st.one_of(st.text(max_size=80), st.builds("1.{}.{:A<43}".format, DIGITS, DIGITS))


def opens(text: str, name: SessionName, side: Side, key: bytes = KEY) -> bool:
    try:
        read(text, name, side, key, NOW)
    except BadTicket:
        return False
    return True


@given(TICKETS, NAMES, st.sampled_from(Side))
def test_a_ticket_says_what_it_was_built_from(ticket: Ticket, name: SessionName, side: Side) -> None:
    assert read(build(ticket, name, side, KEY), name, side, KEY, NOW) == ticket


@given(TICKETS, NAMES, NAMES, st.sampled_from(Side), st.sampled_from(Side))
def test_no_other_side_session_or_login(
    ticket: Ticket, name: SessionName, other: SessionName, side: Side, of: Side
) -> None:
    assert opens(build(ticket, name, side, KEY), other, of) is ((name, side) == (other, of))


@given(TICKETS, NAMES, st.data())
def test_no_changed_shortened_or_joined_ticket(ticket: Ticket, name: SessionName, data: st.DataObject) -> None:
    text = build(ticket, name, Side.AGENT, KEY)
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters(codec="ascii"))
    second = build(data.draw(TICKETS), name, Side.AGENT, KEY)
    for changed in (
        text[:at] + other + text[at + 1 :],
        text[:at],
        text[:at] + text[at + 1 :],
        text + other,
        text.rpartition(".")[0] + "." + second.rpartition(".")[2],
    ):
        # The last digit of base64 has bits that stand for nothing: the text is compared, so they are covered as well.
        assert changed in (text, second) or not opens(changed, name, Side.AGENT)


@given(ANY, NAMES, st.sampled_from(Side))
def test_no_text_of_a_stranger(text: str, name: SessionName, side: Side) -> None:
    assert not opens(text, name, side)


def test_no_ticket_of_another_key() -> None:
    name = SessionName("s", "fred")
    text = build(Ticket(NOW + 1, 1, 0, "a" * 16), name, Side.CLIENT, KEY)
    assert opens(text, name, Side.CLIENT)
    with pytest.raises(BadTicket):
        read(text, name, Side.CLIENT, KEY[:-1] + b"\0", NOW)

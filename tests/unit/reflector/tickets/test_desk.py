from __future__ import annotations

from typing import Any

import pytest

from medusa.directory import DirectoryError
from medusa.protocol.http.head import Headers, Request
from medusa.reflector.config import ReflectorConfig
from medusa.reflector.net.accepted import Accepted
from medusa.reflector.net.listen import HTTP, RAW
from medusa.reflector.refusal import Refusal
from medusa.reflector.session_name import SessionName
from medusa.reflector.tickets.desk import SessionTickets, TicketDesk
from medusa.reflector.tickets.ended import EndedHere
from medusa.reflector.tickets.ticket import Ticket
from medusa.session import Side
from tests.waiting import Clock

NAME, HOLD = SessionName("s", "fred"), {"medusa-features": "hold"}
HERE, THERE, PROXY = ("127.0.0.1", 1), ("192.0.2.1", 1), ("192.0.2.9", 1)


def accepted(address: tuple[str, int], kind: str = HTTP, **more: Any) -> Accepted:
    fields = {**HOLD, **more.pop("fields", {})}
    request = Request("GET", "/", "HTTP/1.1", Headers(list(fields.items())))
    return Accepted(kind, None, address, request=request, **more)


def desk(clock: Clock | None = None, **settings: Any) -> TicketDesk:
    clock = clock or Clock()
    return TicketDesk(ReflectorConfig(**settings), b"k" * 32, EndedHere(None, clock), clock)


@pytest.mark.parametrize(
    ("settings", "peer", "keeps"),
    [
        ({}, accepted(HERE), True),
        ({}, accepted(HERE, RAW), True),
        ({}, accepted(HERE, RAW, plain=True), False),
        ({}, accepted(HERE, proxied=True), False),
        ({}, accepted(THERE, proxied=True, fields={"x-forwarded-proto": "https"}), True),
        ({}, accepted(THERE, proxied=True, fields={"x-forwarded-proto": "http"}), False),
        ({}, accepted(HERE, fields={"x-forwarded-for": "192.0.2.1"}), False),
        ({}, accepted(HERE, fields={"medusa-features": "notice,call"}), False),
        ({}, accepted(HERE, fields={"medusa-hold": "0"}), False),
        ({}, accepted(HERE, fields={"x-forwarded-proto": "https"}), True),
        ({}, accepted(HERE, fields={"x-forwarded-proto": "http"}), False),
        ({}, accepted(THERE), False),
        ({}, accepted(THERE, fields={"x-forwarded-proto": "https"}), False),
        ({"trusted_proxy": ("192.0.2.9",)}, accepted(PROXY, fields={"x-forwarded-proto": "https"}), True),
        ({"trusted_proxy": ("192.0.2.9",)}, accepted(PROXY), False),
        ({"trusted_network": True}, accepted(THERE, RAW), True),
        ({"tls_cert": "x"}, accepted(THERE), True),
        ({"tls_cert": "x"}, accepted(THERE, RAW), False),
        ({}, accepted(THERE, forwarded=True, private=True), True),
        ({"tls_cert": "x"}, accepted(HERE, forwarded=True), False),
    ],
)
def test_who_gets_a_ticket(settings: dict[str, Any], peer: Accepted, keeps: bool) -> None:
    assert desk(**settings).keeps(peer) is keeps


@pytest.mark.parametrize(
    ("asked", "most", "granted"),
    [("60", 0, 60), ("60", 30, 30), ("60", 90, 60), (None, 86400, 3600), ("x", 86400, 3600), ("9" * 9, 0, 31536000)],
)
def test_how_long_a_peer_is_kept(asked: str | None, most: float, granted: int) -> None:
    fields = {} if asked is None else {"medusa-hold": asked}
    assert desk(max_hold=most).hold_of(accepted(HERE, fields=fields)) == granted


def shown(text: str) -> Accepted:
    return accepted(HERE, fields={"medusa-ticket": text})


def test_a_ticket_that_is_given_is_read() -> None:
    clock = Clock(1000.0)
    here = desk(clock)
    tickets = SessionTickets(here, NAME)
    tickets.linked()
    given = tickets.give(Side.AGENT, 10, "c" * 32, None, "SHA256:x")
    ticket = here.read(shown(given.text), NAME, Side.AGENT)
    assert ticket == Ticket(1016, 10, 1000, tickets.birth, "c" * 32, "", "SHA256:x")
    assert dict(given.fields()) == {"Medusa-Ticket": given.text, "Medusa-Hold": "10"}
    clock.sleep(10)
    assert here.read(shown(given.renew()), NAME, Side.AGENT).expires == 1026
    with pytest.raises(Refusal) as caught:
        here.read(shown(given.text), NAME, Side.CLIENT)
    assert (caught.value.status, caught.value.secret) == (403, True)
    assert given.text not in str(caught.value) + caught.value.log_words


def test_the_end_of_a_session_makes_all_its_tickets_void() -> None:
    here = desk()
    first = SessionTickets(here, NAME)
    back = here.read(shown(first.give(Side.CLIENT, 10).text), NAME, Side.CLIENT)
    again = SessionTickets(here, NAME)  # opened anew meanwhile, by another peer
    again.admit(back)
    here.check_not_over(NAME, back)
    again.ended()
    for ticket in (back, back._replace(birth=again.birth)):
        with pytest.raises(Refusal) as caught:
            here.check_not_over(NAME, ticket)
        assert caught.value.status == 410
    here.check_not_over(NAME._replace(login="jane"), back)
    here.check_not_over(NAME, back._replace(birth="0" * 16))


def test_a_session_that_was_opened_again_makes_tickets_void_that_expire_later_than_the_one_that_opened_it() -> None:
    clock = Clock(1000.0)
    here = desk(clock)
    first = SessionTickets(here, NAME)
    agents, clients = (
        here.read(shown(first.give(side, hold).text), NAME, side)
        for side, hold in [(Side.AGENT, 10), (Side.CLIENT, 900)]
    )
    SessionTickets(here, NAME, agents).ended()
    clock.sleep(100)
    with pytest.raises(Refusal) as caught:
        here.check_not_over(NAME, clients)
    assert caught.value.status == 410


def test_a_session_that_has_moved_is_not_over() -> None:
    here = desk()
    tickets = SessionTickets(here, NAME)
    given = tickets.give(Side.CLIENT, 10)
    ticket = here.read(shown(given.text), NAME, Side.CLIENT)
    tickets.moved()
    given.renew()  # by an upgrade that was under way
    tickets.ended()
    here.check_not_over(NAME, ticket)


def test_a_directory_that_is_away() -> None:
    class Away:
        def add(self, mark: str, until: int) -> None: ...

        def __contains__(self, mark: str) -> bool:
            raise DirectoryError("no answer")

    here = TicketDesk(ReflectorConfig(), b"k" * 32, Away(), Clock())
    with pytest.raises(Refusal) as caught:
        here.check_not_over(NAME, Ticket(2000, 10, 0, "a" * 16))
    assert caught.value.status == 503
    assert caught.value.retry_after

from __future__ import annotations

import re

import pytest

from medusa.client.keys.account import Account
from medusa.client.session.session_url import SessionUrl, archive_url
from medusa.transports.dial import ConnectRefused, NoTls, Untrusted


@pytest.mark.parametrize("base", ["https://host:1/prefix", "https://host:1/prefix/"])
def test_the_internal_door(base: str) -> None:
    url = SessionUrl(base, "47/11 %")
    assert url.client_url() == ("https://host:1/prefix/attach/47%2F11%20%25/master", [])
    assert url.agent_url(300) == "https://host:1/prefix/attach/47%2F11%20%25/slave"


def test_the_front_door(account: Account) -> None:
    url = SessionUrl("wss://host:1/prefix/", "4711", account)
    dialled, headers = url.client_url()
    assert dialled == "wss://host:1/prefix/jill/medusa/attach/4711/master"
    assert [name for name, _ in headers] == ["Date", "Medusa-Nonce", "Authorization"]
    agent = url.agent_url(60)
    assert agent.startswith("wss://host:1/prefix/jill/medusa/attach/4711/slave?algorithm=")
    assert "&expires=1060&" in agent


def test_raw_tcp_has_no_header_fields_and_so_both_sides_have_signed_urls(account: Account) -> None:
    url = SessionUrl("tcp://host:1", "4711", account)
    dialled, headers = url.client_url()
    assert dialled.startswith("tcp://host:1/jill/medusa/attach/4711/master?algorithm=")
    assert re.search("&expires=10[345][0-9]&", dialled)
    assert headers == []
    assert url.agent_url(60).startswith("tcp://host:1/jill/medusa/attach/4711/slave?algorithm=")
    assert SessionUrl("https://host:1", "4711", account).client_url(presigned=True)[1] == []
    assert SessionUrl("tcp://host:1", "4711").client_url() == ("tcp://host:1/attach/4711/master", [])


def test_raw_tcp_says_nothing_of_an_archive_or_of_http() -> None:
    assert archive_url("TCP://host:1") is None
    failure = SessionUrl("tcp://host:1", "4711").refused(ConnectRefused("busy", 503))
    assert str(failure) == "cannot attach to tcp://host:1 (status 503): busy"


@pytest.mark.parametrize("base", ["https://h:1/p", "WSS://h:1/p", "wss://h:1/p", "wss://h:1/p/"])
def test_the_archive_comes_by_http(base: str) -> None:
    assert archive_url(base) == "https://h:1/p/agent.sh"


@pytest.mark.parametrize("status", [401, 403, 404])
def test_who_is_refused_for_who_he_is_learns_who_he_was(account: Account, status: int) -> None:
    failure = SessionUrl("https://host:1", "4711", account).refused(ConnectRefused("no\x1b", status))
    first, who, check = str(failure).splitlines()
    assert first == f"cannot attach to https://host:1 (HTTP status {status}): no\\x1b"
    assert who.startswith(f"  asked for host host:1 by {account}; the clock here says ")
    assert check == "  check that this account has this key there, the host's name, and the clock"


CHECK = "  check the address, and that a reflector runs there and can be reached from here"
MOVED = "  a proxy sends you elsewhere; if you trust that place: --reflector https://new/p"


@pytest.mark.parametrize(
    ("cause", "advice"),
    [
        (ConnectRefused("OK", None), [CHECK]),
        (ConnectRefused("OK", 200), [CHECK]),
        (ConnectRefused("OK", 302), [CHECK]),
        (ConnectRefused("x", 301, moved_to="https://new/p/jill/medusa/attach/4711/master"), [MOVED]),
        (ConnectRefused("x", 301, moved_to="https://new/jill/medusa/attach/4711/master/x"), []),
        (ConnectRefused("x", 301, moved_to="https://portal/login"), []),
        (NoTls("x"), ["  if a reflector without TLS runs there: --reflector http://host:1"]),
        (
            Untrusted("self-signed"),
            ["  SSL_CERT_FILE names a file of certificates to trust; --insecure-tls trusts any"],
        ),
        (
            ConnectRefused("taken", 409),
            ["  another mlogin is in that session, or waits there; to join it: medusa exec 4711"],
        ),
        (ConnectRefused("busy", 503), []),
    ],
)
def test_other_refusals_have_advice_that_fits(account: Account, cause: ConnectRefused, advice: list[str]) -> None:
    failure = SessionUrl("https://host:1", "4711", account).refused(cause)
    assert str(failure).splitlines()[1:] == advice


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (404, "  the session has ended, or belongs to another account; `medusa ls` lists yours"),
        (409, "  more clients may join while a session is in use, if its agent"),
        (503, "  it has as many clients as it may have, or the reflector is busy"),
        (504, "  its agent did not answer"),
    ],
)
def test_why_a_session_cannot_be_joined(account: Account, status: int, advice: str) -> None:
    failure = SessionUrl("https://host:1", "4711", account, joins=True).refused(ConnectRefused("x", status))
    _, first, *more = str(failure).splitlines()
    assert first.startswith(advice)
    assert bool(more) is (status == 404), "where a signature may be wrong"


def test_who_did_not_say_who_he_is_is_told_how() -> None:
    failure = SessionUrl("https://host:1", "4711").refused(ConnectRefused("who are you", 401))
    assert "--account and --key" in str(failure)

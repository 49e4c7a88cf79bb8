from __future__ import annotations

import pytest

from medusa.protocol.http.head import Headers
from medusa.reflector.net.client_address import client_of, is_loopback, parse_networks, site, within

PROXIES = ("10.0.0.0/8", "127.0.0.2", "2001:db8:1::/48")


@pytest.mark.parametrize(
    ("host", "inside"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("127.0.0.2", True),
        ("127.0.0.1", False),
        ("2001:db8:1::5", True),
        ("2001:db8:2::5", False),
    ],
)
def test_within(host: str, inside: bool) -> None:
    assert within(host, PROXIES) is inside
    assert not within(host, ())


@pytest.mark.parametrize("wrong", ["10.0.0.1/8", "proxy.example", "10.0.0.0/33"])
def test_what_is_no_network(wrong: str) -> None:
    with pytest.raises(ValueError):
        parse_networks((wrong,))


@pytest.mark.parametrize(
    ("peer", "fields", "client"),
    [
        ("192.0.2.1", ["203.0.113.9"], "192.0.2.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["198.51.100.1, 203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["198.51.100.1", "203.0.113.9,10.0.0.2"], "203.0.113.9"),
        ("10.0.0.1", ["127.0.0.1, 203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", ["203.0.113.9, unknown"], "10.0.0.1"),
        ("10.0.0.1", ["::ffff:203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["203.0.113.9:4711"], "10.0.0.1"),
        ("127.0.0.2", [" 2001:db8::9 "], "2001:db8::9"),
    ],
)
def test_whom_a_proxy_speaks_for(peer: str, fields: list[str], client: str) -> None:
    headers = Headers([("x-forwarded-for", field) for field in fields])
    assert client_of(peer, headers, PROXIES) == client
    assert client_of(peer, headers, ()) == peer


def test_who_is_counted_as_one() -> None:
    assert site("192.0.2.1") == site("::ffff:192.0.2.1") == "192.0.2.1"
    assert site("2001:db8:0:1::1") == site("2001:db8:0:1:ffff::1") != site("2001:db8:0:2::1")


def test_loopback() -> None:
    assert is_loopback("127.9.9.9")
    assert is_loopback("::ffff:127.0.0.1")
    assert not is_loopback("10.0.0.1")

"""The table of who may use what, against the same rules written as conditions, over all options and places."""

from __future__ import annotations

import contextlib
import itertools

import pytest

from medusa.protocol.http.head import Headers, Request
from medusa.reflector.auth.access import (
    Outcome,
    Place,
    Resource,
    check,
    decide,
    is_monitor,
    is_this_host,
    place_of,
)
from medusa.reflector.config import ReflectorConfig
from medusa.reflector.net.accepted import Accepted
from medusa.reflector.net.client_address import client_of
from medusa.reflector.net.listen import HTTP, RAW
from tests.unit.reflector.conftest import refused

CONFIGS = [
    ReflectorConfig(
        trusted_network=trusted, front_door_only=front, no_status=no_status, accounts=accounts, admins=admins
    )
    for trusted, front, no_status, accounts, admins in itertools.product(
        (False, True), (False, True), (False, True), (None, "dir"), ((), ("boss",))
    )
]


def expected(resource: Resource, place: Place, config: ReflectorConfig, signed: bool, monitor: bool) -> Outcome:
    """The rules as conditions, one after another."""
    if resource is Resource.METRICS and monitor:
        return Outcome.ALLOWED
    shown = resource in (Resource.METRICS, Resource.SESSIONS, Resource.ENDING)
    if resource is Resource.SIGNED_ATTACH:
        return Outcome.NO_ACCOUNTS if config.accounts is None else Outcome.BY_SIGNATURE
    if shown and signed and config.accounts is not None:
        return Outcome.BY_SIGNATURE
    if config.front_door_only:
        return Outcome.NOTHING
    if not config.trusted_network:
        if resource is Resource.RAW_ATTACH and config.accounts is not None:
            return Outcome.UNSIGNED
        if place is Place.ELSEWHERE:
            return Outcome.NOT_LOCAL
        if shown and place is Place.OTHER_NAME:
            return Outcome.OTHER_HOST
    return Outcome.NOTHING if resource is Resource.SESSIONS and config.no_status else Outcome.ALLOWED


@pytest.mark.parametrize("resource", Resource)
def test_every_combination(resource: Resource) -> None:
    for config, place, signed, monitor in itertools.product(CONFIGS, Place, (False, True), (False, True)):
        outcome = decide(resource, place, config, signed=signed, monitor=monitor)
        assert outcome is expected(resource, place, config, signed, monitor)


def accepted(host: str, *fields: tuple[str, str], kind: str = HTTP, proxied: bool = False) -> Accepted:
    request = Request("GET", "/status", "HTTP/1.1", Headers(list(fields)))
    return Accepted(kind, None, (host, 4711), proxied, request=request)


LOCAL = ("host", "localhost:8381")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_loopback_is_this_host(host: str) -> None:
    assert place_of(accepted(host, LOCAL)) is Place.THIS_HOST


@pytest.mark.parametrize("host", ["192.0.2.1", "10.0.0.1", "::ffff:192.0.2.1", "2001:db8::1"])
def test_other_addresses_are_elsewhere(host: str) -> None:
    assert place_of(accepted(host, LOCAL)) is Place.ELSEWHERE


@pytest.mark.parametrize(
    "field", ["forwarded", "via", "x-forwarded-for", "x-forwarded-x", "x-real-ip", "cf-connecting-ip"]
)
def test_a_sign_of_a_proxy_is_elsewhere(field: str) -> None:
    assert place_of(accepted("127.0.0.1", LOCAL, (field, ""))) is Place.ELSEWHERE
    assert place_of(accepted("127.0.0.1", LOCAL, proxied=True)) is Place.ELSEWHERE
    assert place_of(accepted("127.0.0.1", (field, ""), kind=RAW)) is Place.THIS_HOST, "a greeting has no such fields"


@pytest.mark.parametrize(
    ("host", "proxies", "forwarded_for", "monitors"),
    [
        ("10.1.2.3", (), None, True),
        ("::ffff:10.1.2.3", (), None, True),
        ("192.0.2.1", (), None, False),
        ("10.1.2.3", (), "10.1.2.4", False),  # anyone may have written the header
        ("10.1.2.3", ("10.1.2.3",), "10.1.2.4", True),
        ("10.1.2.3", ("10.1.2.3",), "192.0.2.1", False),
        ("10.1.2.3", ("10.1.2.3",), None, False),
        ("10.1.2.3", ("10.1.2.3",), "unknown", False),
    ],
)
def test_a_monitoring_system_by_its_address(
    host: str, proxies: tuple[str, ...], forwarded_for: str | None, monitors: bool
) -> None:
    config = ReflectorConfig(accounts="dir", metrics_from=("10.0.0.0/8",), trusted_proxy=proxies, front_door_only=True)
    fields = [("x-forwarded-for", forwarded_for)] if forwarded_for is not None else []
    peer = accepted(host, *fields)
    assert peer.request is not None
    peer.forwarded_for = client_of(host, peer.request.headers, proxies)
    assert is_monitor(peer, config) is monitors
    with contextlib.nullcontext() if monitors else refused(404):
        assert check(Resource.METRICS, peer, config)
    with refused(404):
        check(Resource.SESSIONS, peer, config)


@pytest.mark.parametrize(
    ("host", "is_this"),
    [
        ("127.0.0.1:8381", True),
        ("[::1]:8381", True),
        ("LOCALHOST", True),
        ("192.0.2.1", True),
        ("rebound.example:8381", False),
        ("127.0.0.1.example", False),
        ("x@localhost.evil", False),
        ("[", False),
        ("", False),
    ],
)
def test_a_host_that_a_name_server_could_lead_here(host: str, is_this: bool) -> None:
    assert is_this_host(host) is is_this
    assert place_of(accepted("127.0.0.1", ("host", host))) is (Place.THIS_HOST if is_this else Place.OTHER_NAME)


@pytest.mark.parametrize(
    ("resource", "config", "host", "status"),
    [
        (Resource.SESSIONS, ReflectorConfig(no_status=True), "127.0.0.1", 404),
        (Resource.SIGNED_ATTACH, ReflectorConfig(), "127.0.0.1", 404),
        (Resource.ATTACH, ReflectorConfig(), "192.0.2.1", 403),
        (Resource.RAW_ATTACH, ReflectorConfig(accounts="dir"), "127.0.0.1", 401),
    ],
)
def test_refusals(resource: Resource, config: ReflectorConfig, host: str, status: int) -> None:
    with refused(status):
        check(resource, accepted(host, LOCAL), config)


def test_a_peer_that_may_or_has_to_prove_it() -> None:
    signed = accepted("192.0.2.1", ("authorization", "Signature ..."))
    assert check(Resource.ATTACH, accepted("127.0.0.1", LOCAL), ReflectorConfig()) is True
    assert check(Resource.METRICS, signed, ReflectorConfig(accounts="dir")) is False

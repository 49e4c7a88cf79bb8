"""Who may use the internal door of raw TCP. The rest of the doors is tested by the routes, and from outside."""

from __future__ import annotations

import time
from typing import cast

import gevent
import pytest

from medusa.reflector.auth.authenticator import Authenticator
from medusa.reflector.config import ReflectorConfig, Timeouts
from medusa.reflector.fronts.admission import Doors
from medusa.reflector.refusal import Refusal
from tests.unit.reflector.registries import registry_parts

NEAR, FAR = "127.0.0.1", "192.0.2.1"


def new_doors(config: ReflectorConfig, judge: Authenticator | None) -> Doors:
    parts = registry_parts(config)
    return Doors(config, parts.registry, judge, claims=parts.claims, metrics=parts.metrics)


def status(config: ReflectorConfig, host: str) -> int:
    """Of the answer to a greeting that is not signed; 0 for none: it is let in."""
    judge = cast("Authenticator", object()) if config.accounts else None
    doors = new_doors(config, judge)
    try:
        doors.check_unsigned(host)
    except Refusal as refusal:
        return refusal.status
    return 0


@pytest.mark.parametrize(
    ("config", "near", "far"),
    [
        (ReflectorConfig(), 0, 403),
        (ReflectorConfig(trusted_network=True), 0, 0),
        (ReflectorConfig(accounts="x"), 401, 401),
        (ReflectorConfig(accounts="x", trusted_network=True), 0, 0),
        (ReflectorConfig(accounts="x", front_door_only=True), 404, 404),
        (ReflectorConfig(accounts="x", front_door_only=True, trusted_network=True), 404, 404),
    ],
)
def test_who_may_come_unsigned(config: ReflectorConfig, near: int, far: int) -> None:
    assert (status(config, NEAR), status(config, FAR)) == (near, far)


def test_a_refusal_is_held_back_for_what_is_left_of_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(gevent, "sleep", slept.append)
    monkeypatch.setattr(time, "monotonic", lambda: 100.0)
    config = ReflectorConfig(timeouts=Timeouts(refusal_delay=4.0))
    doors = new_doors(config, None)
    doors.hold_back(99.0)
    doors.hold_back(0.0)
    assert slept == [3.0, 0.0]

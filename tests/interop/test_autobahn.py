"""None of Autobahn's websocket cases fails through a pair."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from bench.kinds import Relay
from tests.interop.autobahn import QUICK, describe, run_cases


def report(relay: Relay, cases: Sequence[str] | None, at_least: int) -> str:
    """What failed of `cases`; empty when nothing did. Checks that the runner knew so many cases at all."""
    results = asyncio.run(run_cases(relay.port, cases))
    assert len(results) >= at_least
    return "\n".join(describe(result) for result in results if not result.passed)


def test_cases_that_take_seconds(reflector: Relay) -> None:
    assert not report(reflector, QUICK, at_least=265)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_all_cases(reflector: Relay) -> None:
    assert not report(reflector, None, at_least=301)

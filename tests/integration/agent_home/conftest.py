"""The home link for one test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.agents import Agent, Reflector
from tests.integration.agent_home.homes import Home


@pytest.fixture
def home(dialled: Reflector, agent: Agent) -> Iterator[Home]:
    home = Home(dialled)
    yield home
    home.link.link.abort()

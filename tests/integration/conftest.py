"""For tests of the reflector: the one that a module shares, and a session that must notice nothing of each test.

For tests of the agent: what it dials, the agent itself, and the client's place in its session.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.timeouts import Timeouts
from tests import agents
from tests.agents import from_source, job_environ, launched, write_config
from tests.reflectors import Reflector, Witness, running


@pytest.fixture(scope="module")
def shared_reflector(request: pytest.FixtureRequest) -> Iterator[Reflector]:
    """One reflector for a module's tests, with the options that the module names REFLECTOR_OPTIONS, if any."""
    with running(*getattr(request.module, "REFLECTOR_OPTIONS", ())) as reflector:
        yield reflector


@pytest.fixture
def reflector(shared_reflector: Reflector) -> Iterator[Reflector]:
    """Fails a test that leaves a session, or an error in the log."""
    yield shared_reflector
    shared_reflector.check()


@pytest.fixture
def witness(reflector: Reflector) -> Iterator[Witness]:
    """A linked session, which has to work before and after."""
    with reflector.pair() as (client, agent):
        witness = Witness(client, agent)
        witness.check()
        yield witness
        witness.check()


@pytest.fixture
def dialled() -> Iterator[agents.Reflector]:
    reflector = agents.Reflector()
    yield reflector
    reflector.close()


@pytest.fixture
def agent(dialled: agents.Reflector, tmp_path: Path) -> Iterator[agents.Agent]:
    config = write_config(tmp_path, dialled.url)
    command = from_source("--config", str(config), timeouts=Timeouts(hangup_grace=0.3))
    with launched(command, job_environ(MANTA_USER="poe")) as agent:
        yield agent


@pytest.fixture
def client(dialled: agents.Reflector, agent: agents.Agent) -> Iterator[agents.Client]:
    client = dialled.accept()
    yield client
    client.link.abort()

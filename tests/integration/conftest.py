"""For tests of the reflector: one that a module shares, two of one site, and a session that no test may disturb.

For tests of the agent: what it dials, the agent itself, and the client's place in its session; or one agent that a
module shares, and a client of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.timeouts import Timeouts
from tests import agents, sites
from tests.agents import from_source, job_environ, launched, write_config
from tests.reflectors import Reflector, running
from tests.signing import Key, allow, write_key
from tests.sites import Site
from tests.streamclients import StreamClient
from tests.streamlegs import Legs, one_agent
from tests.witnesses import Witness


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


@pytest.fixture(scope="module")
def key_file(key: Key, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key file in the directory of the accounts."""
    directory = tmp_path_factory.mktemp("jill")
    (directory / "accounts").mkdir()
    allow(directory / "accounts", "jill", key)
    return write_key(directory / "key", key)


@pytest.fixture(scope="module")
def door(key_file: Path) -> Iterator[Reflector]:
    """A reflector with one account, jill, which has the key in `key_file`."""
    with running("--accounts", str(key_file.parent / "accounts")) as reflector:
        yield reflector


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A directory that reflectors share, for a whole module."""
    with sites.site(tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.fixture
def own_site(tmp_path: Path) -> Iterator[Site]:
    """A site for one test, which may harm its directory."""
    with sites.site(tmp_path) as site:
        yield site


@pytest.fixture(scope="module")
def both(site: Site) -> Iterator[tuple[Reflector, Reflector]]:
    """Two reflectors of the module's site. A module overrides it to give them options."""
    with site.reflector() as here, site.reflector() as there:
        yield here, there


@pytest.fixture
def witness(reflector: Reflector) -> Iterator[Witness]:
    """A linked session, which has to work before and after."""
    with reflector.pair() as (client, agent):
        witness = Witness(client, agent)
        witness.check()
        yield witness
        witness.check()


@pytest.fixture(scope="module")
def legs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Legs]:
    """One agent for a module's tests, with the times that the module names AGENT_TIMEOUTS."""
    with one_agent(tmp_path_factory.mktemp("agent"), request.module.AGENT_TIMEOUTS) as legs:
        yield legs


@pytest.fixture
def stream(legs: Legs) -> Iterator[StreamClient]:
    """A client of that agent; the agent has to live on without it."""
    with legs.stream() as client:
        yield client
        assert client.leave() == "done"


@pytest.fixture
def dialled() -> Iterator[agents.Reflector]:
    reflector = agents.Reflector()
    yield reflector
    reflector.close()


@pytest.fixture
def agent(dialled: agents.Reflector, tmp_path: Path) -> Iterator[agents.Agent]:
    config = write_config(tmp_path, dialled.url)
    command = from_source(
        "--config", str(config), timeouts=Timeouts(hangup_grace=0.3, doubt_timeout=0.2, home_timeout=600)
    )
    with launched(command, job_environ(MANTA_USER="poe")) as agent:
        yield agent


@pytest.fixture
def client(dialled: agents.Reflector, agent: agents.Agent) -> Iterator[agents.Client]:
    client = dialled.accept()
    yield client
    client.link.abort()

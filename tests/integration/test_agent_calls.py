"""An agent that is called: it dials once more for each client that joins, in every way in which it may dial."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from medusa.client.archive import find_archive
from medusa.protocol.control import Exit, Linkup
from medusa.protocol.features import JOIN
from medusa.transports.connect import connect
from tests.agents import Client, job_environ, launched
from tests.blocking import BlockingLink, BlockingTransport
from tests.links import CERTIFICATE
from tests.proxies import tinyproxy
from tests.reflectors import Reflector, new_id, running

TLS = ("--tls-cert", str(CERTIFICATE), "--tls-key", str(CERTIFICATE))


@pytest.fixture(scope="module")
def plain() -> Iterator[Reflector]:
    with running("--raw-port", "0") as reflector:
        yield reflector


@pytest.fixture(scope="module")
def secure() -> Iterator[Reflector]:
    with running(*TLS) as reflector:
        yield reflector


@pytest.fixture
def way(
    request: pytest.FixtureRequest, plain: Reflector, secure: Reflector, tmp_path: Path
) -> Iterator[tuple[Reflector, str, dict[str, str]]]:
    """The reflector, where client and agent dial, and the variables of the agent for it."""
    name = request.param
    reflector = secure if "wss" in name else plain
    with contextlib.ExitStack() as stack:
        more = {}
        if "proxy" in name:
            port = stack.enter_context(tinyproxy(tmp_path))
            more = {"http_proxy": f"http://127.0.0.1:{port}", "https_proxy": f"http://127.0.0.1:{port}"}
        at = (
            f"tcp://127.0.0.1:{reflector.raw_port}"
            if name == "tcp"
            else f"{name.split()[0]}://localhost:{reflector.port}"
        )
        yield reflector, at, {"SSL_CERT_FILE": str(CERTIFICATE), **more}


def attach(url: str, *headers: tuple[str, str]) -> Client:
    link = BlockingLink(connect(url, insecure_tls=True, headers=headers, proxies=False))
    return Client(cast("BlockingTransport", link))


def linked(client: Client) -> Client:
    while not isinstance(client.control(), Linkup):
        pass
    return client


@pytest.mark.parametrize("way", ["ws", "wss", "tcp", "ws by proxy", "wss by proxy"], indirect=True)
def test_a_client_joins(way: tuple[Reflector, str, dict[str, str]], tmp_path: Path) -> None:
    reflector, at, more = way
    session = new_id()
    path = f"/attach/{session}/"
    first = attach(at + path + "master")
    headers = f"echo >> {tmp_path}/asked; echo 'X-Token: t'"
    command: list[str | Path] = ["sh", find_archive(), "--header-command", headers]
    with launched(command, job_environ(MEDUSA_SIGNED_URL=f"{at}{path}slave", SLURM_JOB_ID="4711", **more)) as agent:
        linked(first).start()
        (shown,) = (entry for entry in reflector.get("/sessions").json()["sessions"] if entry["id"] == session)
        assert (shown["host"], shown["job"]) == (os.uname().nodename, "slurm 4711")
        second = linked(attach(f"{at}{path}master", (JOIN, "1")))
        agent.logged("client 2: connected")
        second.run("echo joined; exit 5")
        assert second.outcome() == Exit(status=5)
        assert second.output == b"joined\r\n"
        second.link.close()
        agent.logged("client 2: .*closed")
        assert first.ask("echo $((6 * 7))") == b"42\r\n"
        first.type("exit 4\n")
        assert first.outcome() == Exit(status=4)
        first.link.close()
        assert agent.finish()[0] == 0
    assert (tmp_path / "asked").read_text() == "\n" * 3, "one for the home link, and one for each client"

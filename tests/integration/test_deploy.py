"""The samples in deploy/: a session through each proxy, with the client's address in its record; the unit; settings."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from medusa.reflector.config import ReflectorConfig
from tests.links import CERTIFICATE, client_context
from tests.peers import BINARY, LINKUP, TEXT, WAIT, Answer, Peer, frame, upgrade
from tests.proxies import DEPLOY, PROXY, haproxy, nginx, rendered, verified
from tests.reflectors import Reflector, command, new_id, running
from tests.signing import Key, allow, attach_path, authorization, date, signed_request, signed_target
from tests.terminals import environment, run_alone
from tests.waiting import PATIENCE, wait_until

HOST = "medusa.example.com"
USER, JOB = "127.0.0.5", "127.0.0.6"
MIB = 1 << 20

OF_THE_COMMAND_LINE = {"check", "config", "help", "lifeline"}
"""Options of the reflector that make no sense in a file of settings."""


@contextlib.contextmanager
def entered(port: int, request: bytes, source: str) -> Iterator[Peer]:
    """A TLS connection from `source`, an address of this host, on which `request` was sent."""
    plain = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE, source_address=(source, 0))
    with client_context().wrap_socket(plain, server_hostname="localhost") as sock, Peer(sock) as peer:
        peer.send(request)
        yield peer


def asked(port: int, path: str) -> Answer:
    with entered(port, f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode(), USER) as peer:
        return peer.answer()


@pytest.fixture(params=["haproxy", "nginx"])
def way(request: pytest.FixtureRequest, tmp_path: Path, key: Key) -> Iterator[tuple[Reflector, int]]:
    """A reflector, and the port of a proxy in front of it."""
    accounts = tmp_path / "accounts"
    accounts.mkdir()
    allow(accounts, "alice", key)
    options = ["--accounts", str(accounts), "--trusted-proxy", PROXY, "--public-host", HOST, "--drain-timeout", "60"]
    proxies: dict[str, Callable[[Path, int], contextlib.AbstractContextManager[int]]]
    proxies = {"haproxy": haproxy, "nginx": nginx}
    if request.param == "haproxy":
        options.append("--proxy-protocol")
    with running(*options) as reflector, proxies[request.param](tmp_path, reflector.port) as port:
        wait_until(lambda: asked(port, "/agent.sh").status == 200, "the proxy")
        yield reflector, port


def agent_request(key: Key, session: str, forged: str = "") -> bytes:
    target = signed_target(key, "alice", attach_path("alice", session, "slave"), HOST)
    return upgrade(target, host=HOST, **({"x_forwarded_for": forged} if forged else {}))


def test_a_session_through_a_proxy(way: tuple[Reflector, int], key: Key) -> None:
    reflector, port = way
    session = new_id()
    master = signed_request(key, "alice", attach_path("alice", session, "master"), HOST)
    with entered(port, master, USER) as client:
        assert client.head().status == 101
        with entered(port, agent_request(key, session, forged="192.0.2.1"), JOB) as agent:
            assert agent.head().status == 101
            client.linked()
            agent.expect(TEXT, LINKUP)
            for sender, receiver in ((client, agent), (agent, client)):
                assert sender.through(frame(BINARY, bytes(MIB)), receiver) == (BINARY, bytes(MIB), True)
    record = reflector.ended(session)
    assert record["login"] == "alice"
    assert [record[side].partition(":")[0] for side in ("client", "agent")] == [USER, JOB]


def test_a_session_through_a_proxy_gets_tickets_and_is_killed(way: tuple[Reflector, int], key: Key) -> None:
    reflector, port = way
    session = new_id()
    own = f"/alice/medusa/sessions/{session}"
    held = {"medusa_features": "call,hold", "medusa_incarnation": "1f" * 16}
    target = signed_target(key, "alice", attach_path("alice", session, "slave"), HOST)
    with entered(port, upgrade(target, host=HOST, **held), JOB) as agent:
        assert "medusa-ticket" in agent.head().headers
        signature = authorization(key, "alice", own, HOST, when := date(), method="delete")
        head = f"DELETE {own} HTTP/1.1\r\nHost: {HOST}\r\nDate: {when}\r\nConnection: close\r\n"
        head += f"Authorization: {signature}\r\n\r\n"
        with entered(port, head.encode(), USER) as user:
            assert user.answer().status == 200
    assert reflector.ended(session)["outcome"] == "killed"


def test_internal_paths_are_not_public(way: tuple[Reflector, int]) -> None:
    reflector, port = way
    for path in ("/status", "/metrics", "/sessions", "/attach/x/master", "/alice/medusa/../../status", "/"):
        assert asked(port, path).status in (400, 404)
    assert reflector.get("/metrics").status == 200, "but on the reflector's own host"


def test_a_reflector_that_drains_gets_no_new_sessions(way: tuple[Reflector, int], key: Key) -> None:
    reflector, port = way
    session = new_id()
    with entered(port, signed_request(key, "alice", attach_path("alice", session, "master"), HOST), USER) as client:
        assert client.head().status == 101
        reflector.signal(signal.SIGTERM)
        wait_until(lambda: reflector.get("/readyz").status == 503)
        late = signed_request(key, "alice", attach_path("alice", new_id(), "master"), HOST)

        def refused() -> bool:
            with entered(port, late, USER) as other:
                return other.head().status in (502, 503)

        wait_until(refused)
        assert client.frame() == (TEXT, WAIT, True), "its session goes on"
    assert reflector.process.wait(PATIENCE) == 0


def test_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "medusa-reflector.service"
    program = Path(sys.executable).with_name("medusa")
    unit.write_text(rendered("medusa-reflector.service", {"/opt/medusa/bin/medusa": str(program)}))
    assert verified(unit) == ""


def test_the_units_times_fit() -> None:
    text = rendered("medusa-reflector.service", {})
    drain = int(text.partition("--drain-timeout ")[2].split()[0])
    stop = int(text.partition("TimeoutStopSec=")[2].split()[0])
    assert stop >= drain + 10


SETTING = re.compile(r"^#?([a-z-]+) = (.+)$", re.MULTILINE)


def test_the_settings_as_they_are() -> None:
    with running("--config", str(DEPLOY / "reflector.conf")) as reflector, reflector.pair():
        assert reflector.get("/agent.sh").status == 200


@pytest.mark.parametrize("variable", [{}, {"MEDUSA_TLS_CERT": str(CERTIFICATE)}])
def test_the_health_check_with_tls(tmp_path: Path, variable: dict[str, str]) -> None:
    with running("--tls-cert", str(CERTIFICATE), "--tls-key", str(CERTIFICATE)) as reflector:
        environ = {**environment(tmp_path), "MEDUSA_PORT": str(reflector.port), **variable}
        assert run_alone([sys.executable, str(DEPLOY / "healthcheck.py")], environ).returncode == 0
    assert run_alone([sys.executable, str(DEPLOY / "healthcheck.py")], environ).returncode == 1


def test_all_settings_are_options_and_all_options_are_there(tmp_path: Path) -> None:
    config = tmp_path / "reflector.conf"
    config.write_text(SETTING.sub(r"\1 = \2", rendered("reflector.conf", {})))
    done = run_alone(command(["--config", str(config)]), environment(tmp_path))
    assert done.returncode == 1, f"2: it cannot be read: {done.stderr}"
    usage = run_alone(command(["--help"]), {**environment(tmp_path), "COLUMNS": "80"}).stdout
    options = set(re.findall(r"^  (?:-\w, )?--([a-z-]+)", usage, re.MULTILINE))
    assert options - {name for name, _ in SETTING.findall(config.read_text())} == OF_THE_COMMAND_LINE


def test_what_is_commented_out_is_the_default() -> None:
    shown = dict(SETTING.findall(rendered("reflector.conf", {})))
    defaults = {name: getattr(ReflectorConfig(), name.replace("-", "_"), None) for name in shown}
    defaults["max-startups"] = ":".join(map(str, ReflectorConfig().max_startups))
    different = {name for name, value in defaults.items() if value and str(value).removesuffix(".0") != shown[name]}
    assert different == set()

"""From the agent's start to its link: configuration, dialling, refusals, and what is logged about them."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from medusa.transports.tls import TlsError
from tests.agents import SECRET, Reflector, end, from_source, job_environ, launched, write_config
from tests.waiting import PATIENCE


def test_bad_configuration(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"signed_url": 7}')
    with launched(from_source(), job_environ(MEDUSA_AGENT_CONFIG=str(path))) as agent:
        assert agent.finish() == (2, f"medusa agent: {path}: signed_url: not a string\n")


def test_a_configuration_by_the_variable_of_the_users_config_file(tmp_path: Path) -> None:
    """As earlier versions took it: the log says which variable to use instead."""
    path = tmp_path / "config.json"
    path.write_text('{"signed_url": "tcp://127.0.0.1:1"}')
    with launched(from_source("--retry-for", "0"), job_environ(MEDUSA_CONFIG=str(path))) as agent:
        status, log = agent.finish()
    assert status == 3
    assert log.startswith("medusa agent: MEDUSA_CONFIG names the user's config file; name the agent's by MEDUSA_AGENT")


@pytest.mark.parametrize("options", [["--nonsense"], ["--grace", "x"]])
def test_bad_usage(options: list[str]) -> None:
    with launched(from_source(*options), job_environ()) as agent:
        status, log = agent.finish()
    assert status == 2
    assert log.startswith("usage: agent.sh")


@pytest.mark.parametrize("options", [[], ["--grace", "1"]])
def test_url_is_an_argument(dialled: Reflector, options: list[str]) -> None:
    with launched(from_source(*options, dialled.url), job_environ(MEDUSA_SIGNED_URL="x")) as agent:
        dialled.accept().link.close()
        code, log = agent.finish()
    assert code == 0
    assert SECRET not in log


def test_url_is_a_variable_that_the_shell_does_not_see(dialled: Reflector) -> None:
    environ = job_environ(MEDUSA_SIGNED_URL=dialled.url, MEDUSA_INSECURE_TLS="1")
    with launched(from_source(), environ) as agent:
        client = dialled.accept()
        client.run("env")
        client.outcome()
        assert b"PATH=" in client.output
        assert b"MEDUSA" not in client.output
        assert SECRET.encode() not in client.output
        assert SECRET not in end(client, agent)


def test_refusal_for_now_is_tried_again(dialled: Reflector, tmp_path: Path) -> None:
    config = write_config(tmp_path, dialled.url)
    with launched(from_source("--config", str(config)), job_environ()) as agent:
        dialled.refuse("404 Not Found")
        dialled.refuse("521 Web Server Is Down")
        client = dialled.accept()
        client.link.close(reason="changed \x1b[31m my mind")
        code, log = agent.finish()
    assert code == 0
    assert "(status 404); next try in" in log
    assert "(status 521); next try in" in log
    assert log.endswith("session over: closed: changed \\x1b[31m my mind\n")
    assert SECRET not in log
    assert len({head.split(b"Sec-WebSocket-Key")[0] for head in dialled.heads}) == 1


def test_refusal_for_good_is_final(dialled: Reflector, tmp_path: Path) -> None:
    config = write_config(tmp_path, dialled.url)
    with launched(from_source("--config", str(config)), job_environ()) as agent:
        dialled.refuse("409 Conflict")
        code, log = agent.finish()
    assert code == 3
    assert "not connected: Conflict (status 409)" in log
    assert SECRET not in log


def test_asked_to_stop_while_it_dials(dialled: Reflector, tmp_path: Path) -> None:
    """The reflector has accepted the connection and sends nothing: the agent is in a blocking call."""
    config = write_config(tmp_path, dialled.url)
    with launched(from_source("--config", str(config)), job_environ()) as agent:
        peer, _, _ = dialled._read_head()
        os.kill(agent.pid, signal.SIGINT)
        assert agent.finish() == (130, agent.logged("stopped by SIGINT"))
        peer.close()


@pytest.fixture
def store() -> Iterator[tuple[str, list[bytes]]]:
    """An object store that answers one request: its URL, and the requests that came."""
    requests: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with listener.accept()[0] as peer:
                requests.append(peer.recv(65536))
                peer.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", requests
        thread.join(PATIENCE)


def test_asset_is_found_and_its_object_deleted(
    dialled: Reflector, tmp_path: Path, store: tuple[str, list[bytes]]
) -> None:
    url, requests = store
    asset = tmp_path / "poe" / "stor" / "medusa-config-4711.json"
    asset.parent.mkdir(parents=True)
    asset.write_text(json.dumps({"signed_url": dialled.url, "insecure_tls": False}))
    with launched(from_source(assets=tmp_path), job_environ(MANTA_URL=url)) as agent:
        dialled.accept().link.close()
        code, log = agent.finish()
    assert code == 0
    assert [request.split(b"\r\n")[0] for request in requests] == [b"DELETE /poe/stor/medusa-config-4711.json HTTP/1.1"]
    assert "deleted" not in log
    assert asset.exists()


@pytest.fixture
def tls_reflector(tmp_path: Path) -> Iterator[Reflector]:
    """A reflector with a certificate that no authority has signed."""
    key, certificate = tmp_path / "key", tmp_path / "certificate"
    words = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1"
    subprocess.run(["openssl", *words.split(), "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    reflector = Reflector(context)
    yield reflector
    reflector.close()


def test_unknown_certificate_is_refused(tls_reflector: Reflector, tmp_path: Path) -> None:
    config = write_config(tmp_path, tls_reflector.url)
    with launched(from_source("--config", str(config)), job_environ()) as agent:
        with pytest.raises(TlsError, match="unknown ca"):
            tls_reflector.accept()
        code, log = agent.finish()
    assert code == 3
    assert "certificate not accepted" in log

"""Every version of Python accepts the certificates that curl accepts, and no others."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from medusa.client.launchers.kubernetes.cluster.access import Access
from medusa.client.launchers.kubernetes.cluster.api import KubeClient
from medusa.client.operator import publish
from medusa.reflector.cluster import forward_out
from medusa.transports.tls import client_context
from tests.agents import ROOT, job_environ
from tests.certificates import Certified, authority, key_usage
from tests.waiting import PATIENCE

ROOT_CA = authority("root")
MIDDLE = authority("middle", ROOT_CA)
NOT_CRITICAL = authority("not critical", critical=False)
STRANGER = authority("stranger", usage=True)
NAME = "a.test.example"
SERVER = Certified("x", ROOT_CA, [NAME, "127.0.0.1", "::1", "*.wild.example", "f*.part.example"])
BEHIND = Certified("x", MIDDLE, [NAME])
SELF_SIGNED = Certified("x", None, [NAME])
CREATE = ssl.create_default_context
CLIENTS = (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False)


class Case(NamedTuple):
    """A server's certificate and the rest of its chain, what the client trusts, and whether it is to accept it."""

    chain: list[Certified]
    trusted: list[Certified]
    host: str
    accepted: bool


CASES = {
    "no Authority Key Identifier": Case([SERVER], [ROOT_CA], NAME, True),
    "constraints that are not critical": Case([Certified("x", NOT_CRITICAL, [NAME])], [NOT_CRITICAL], NAME, True),
    "an authority with a key usage": Case([Certified("x", STRANGER, [NAME])], [STRANGER], NAME, True),
    "a chain": Case([BEHIND, MIDDLE], [ROOT_CA], NAME, True),
    "only the authority in the middle is trusted": Case([BEHIND, MIDDLE], [MIDDLE], NAME, True),
    "the same, and the server sends no chain": Case([BEHIND], [MIDDLE], NAME, True),
    "only the certificate itself is trusted": Case([BEHIND], [BEHIND], NAME, True),
    "signed by itself": Case([SELF_SIGNED], [SELF_SIGNED], NAME, True),
    "a name and no alternative": Case([Certified(NAME, ROOT_CA)], [ROOT_CA], NAME, True),
    "an address": Case([SERVER], [ROOT_CA], "127.0.0.1", True),
    "an address of IPv6": Case([SERVER], [ROOT_CA], "[::1]", True),
    "a dot at the end": Case([SERVER], [ROOT_CA], NAME + ".", True),
    "large letters": Case([SERVER], [ROOT_CA], NAME.upper(), True),
    "a wildcard": Case([SERVER], [ROOT_CA], "b.wild.example", True),
    "a wildcard and an encoded name": Case([SERVER], [ROOT_CA], "xn--bcher-kva.wild.example", True),
    "a wildcard is one label": Case([SERVER], [ROOT_CA], "c.b.wild.example", False),
    "a wildcard is not no label": Case([SERVER], [ROOT_CA], "wild.example", False),
    "a part of a label": Case([SERVER], [ROOT_CA], "foo.part.example", False),
    "another name": Case([SERVER], [ROOT_CA], "b.test.example", False),
    "another address": Case([SERVER], [ROOT_CA], "127.0.0.2", False),
    "the name is there, but alternatives too": Case(
        [Certified(NAME, ROOT_CA, ["b.test.example"])], [ROOT_CA], NAME, False
    ),
    "an authority that is not trusted": Case([SERVER], [STRANGER], NAME, False),
    "the chain is missing": Case([BEHIND], [ROOT_CA], NAME, False),
    "expired": Case([Certified("x", ROOT_CA, [NAME], days=-1)], [ROOT_CA], NAME, False),
    "for clients": Case([Certified("x", ROOT_CA, [NAME], extensions=[CLIENTS])], [ROOT_CA], NAME, False),
    "only to sign certificates": Case(
        [Certified("x", ROOT_CA, [NAME], extensions=[(key_usage(key_cert_sign=True), True)])], [ROOT_CA], NAME, False
    ),
    "signed by one that is no authority": Case([Certified("x", SERVER, [NAME]), SERVER], [ROOT_CA], NAME, False),
}


def pythons() -> list[str]:
    """All Pythons of this machine that the agent may meet, and that have TLS."""
    names = [sys.executable, "pypy3", *(f"python3.{minor}" for minor in range(8, 20))]
    found = [path for name in names if (path := shutil.which(name))]
    homes = Path("~/.pyenv/versions").expanduser().glob("3.*/bin/python")
    paths = dict.fromkeys([*found, *map(str, homes)])
    check = "import ssl, sys; sys.exit(sys.version_info < (3, 8))"
    return [path for path in paths if subprocess.run([path, "-c", check], capture_output=True).returncode == 0]


class Servers:
    """A TLS server on loopback for each case. Each answers every request with 204."""

    def __init__(self, scratch: Path) -> None:
        self.ports: list[int] = []
        self.trusted: list[Path] = []
        self._listeners: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        for number, case in enumerate(CASES.values()):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(case.chain[0].write(scratch / f"server{number}.pem", *case.chain[1:]))
            self.trusted.append(scratch / f"trusted{number}.pem")
            self.trusted[-1].write_bytes(b"".join(one.pem for one in case.trusted))
            listener = socket.create_server(("127.0.0.1", 0))
            self._listeners.append(listener)
            self.ports.append(listener.getsockname()[1])
            self._threads.append(threading.Thread(target=self._serve, args=(listener, context)))
            self._threads[-1].start()

    def _serve(self, listener: socket.socket, context: ssl.SSLContext) -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            sock.settimeout(PATIENCE)
            with sock, contextlib.suppress(OSError), context.wrap_socket(sock, server_side=True) as secure:
                if secure.recv(4096):
                    secure.sendall(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")

    def close(self) -> None:
        for listener in self._listeners:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for thread in self._threads:
            thread.join(PATIENCE)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with contextlib.closing(Servers(tmp_path_factory.mktemp("certificates"))) as servers:
        yield servers


CLIENT = """
import json, os, socket, sys, time
from medusa.transports.dial import ConnectRefused, Untrusted, open_socket, parse_url

look_up = socket.getaddrinfo
socket.getaddrinfo = lambda host, *arguments, **options: look_up("127.0.0.1", *arguments, **options)
accepted = []
for trusted, url in json.load(sys.stdin):
    os.environ["SSL_CERT_FILE"] = trusted
    try:
        open_socket(parse_url(url), False, time.monotonic() + 60).close()
        accepted.append(True)
    except Untrusted:
        accepted.append(False)
print(json.dumps(accepted))
"""
"""Dials each server as the agent does. All names are names of this host."""


@pytest.mark.parametrize("python", pythons())
def test_a_certificate_is_judged_alike(servers: Servers, python: str) -> None:
    urls = [f"wss://{case.host}:{port}/" for case, port in zip(CASES.values(), servers.ports, strict=True)]
    task = json.dumps(list(zip(map(str, servers.trusted), urls, strict=True)))
    environ = job_environ(PYTHONPATH=str(ROOT), PYTHONDONTWRITEBYTECODE="1")
    done = subprocess.run(
        [python, "-c", CLIENT], input=task, env=environ, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
    found = dict(zip(CASES, json.loads(done.stdout), strict=True))
    assert found == {name: case.accepted for name, case in CASES.items()}


def cluster_context(scratch: Path) -> ssl.SSLContext:
    """The settings with which mlogin speaks to a cluster."""
    config = scratch / "kubeconfig"
    cluster = {"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}
    context = {"name": "x", "context": {"cluster": "c", "user": "u"}}
    user = {"name": "u", "user": {"token": "t"}}
    config.write_text(
        json.dumps({"clusters": [cluster], "contexts": [context], "users": [user], "current-context": "x"})
    )
    api = KubeClient(Access(str(config), None, "n"), scratch)._api("CoreV1Api")
    found: ssl.SSLContext = api.api_client.rest_client.pool_manager.connection_pool_kw["ssl_context"]
    return found


CONTEXTS: dict[str, Callable[[Path], ssl.SSLContext]] = {
    "mlogin, medusa sessions, a Manta": lambda _: client_context(),
    "another reflector": lambda _: forward_out._context(None),
    "medusa publish": lambda _: publish._options("https", 1.0)["ssl"],
    "a cluster": cluster_context,
}


@pytest.mark.parametrize("name", CONTEXTS)
def test_every_part_judges_so(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the defaults of Python 3.13, which this Python may not have."""

    def strict(*arguments: Any, **options: Any) -> ssl.SSLContext:
        context = CREATE(*arguments, **options)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    monkeypatch.setattr(ssl, "create_default_context", strict)
    context = CONTEXTS[name](tmp_path)
    assert not context.verify_flags & ssl.VERIFY_X509_STRICT
    assert context.verify_flags & ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert (context.check_hostname, context.verify_mode) == (True, ssl.CERT_REQUIRED)


@pytest.mark.skipif(not shutil.which("curl"), reason="needs curl")
@pytest.mark.parametrize("name", CASES)
def test_curl_judges_so_too(servers: Servers, name: str) -> None:
    number, case = list(CASES).index(name), CASES[name]
    port = servers.ports[number]
    command = ["curl", "-sS", "--noproxy", "*", "--cacert", str(servers.trusted[number])]
    command += ["--connect-to", f"::127.0.0.1:{port}", f"https://{case.host}:{port}/"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert (done.returncode == 0) is case.accepted, done.stderr

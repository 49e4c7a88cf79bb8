"""mlogin and its job through a front door that ends TLS, as at a load balancer."""

from __future__ import annotations

import hashlib
import os
import select
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.links import CERTIFICATE, server_context
from tests.terminals import MLOGIN, ROOT, environment, other_reflector
from tests.waiting import PATIENCE

BULK = 20_000_000


@pytest.fixture
def front_door() -> Iterator[str]:
    """An https URL that leads to a reflector."""
    with other_reflector() as url, _tls_front(int(url.rpartition(":")[2])) as front:
        yield f"https://localhost:{front}"


@contextmanager
def _tls_front(port: int) -> Iterator[int]:
    context = server_context()
    threads: list[threading.Thread] = []

    def serve() -> None:
        while True:
            try:
                accepted = listener.accept()[0]
            except OSError:
                return
            threads.append(threading.Thread(target=_carry, args=(context, accepted, port)))
            threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve)
        server.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        server.join(PATIENCE)
    for thread in threads:
        thread.join(PATIENCE)


def _carry(context: ssl.SSLContext, accepted: socket.socket, port: int) -> None:
    """Both ways until either side ends."""
    try:
        outer = context.wrap_socket(accepted, server_side=True)
    except OSError:
        accepted.close()
        return
    with outer, socket.create_connection(("127.0.0.1", port)) as inner:
        try:
            while True:
                ready = [outer] if outer.pending() else select.select([outer, inner], [], [])[0]
                for source in ready:
                    data = source.recv(65536)
                    if not data:
                        return
                    (inner if source is outer else outer).sendall(data)
        except OSError:
            return


def mlogin(home: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*MLOGIN, "-q", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env={**environment(home), **more},
        cwd=ROOT,
        timeout=6 * PATIENCE,
    )


def test_a_certificate_that_is_trusted_and_bulk_through_tls(home: Path, front_door: str, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(os.urandom(BULK))
    run = mlogin(
        home, "--reflector", front_door, "-c", f"stty -opost; cat {source}; exit 3", SSL_CERT_FILE=str(CERTIFICATE)
    )
    assert (run.returncode, run.stderr) == (3, b"")
    assert hashlib.sha256(run.stdout).digest() == hashlib.sha256(source.read_bytes()).digest()


def test_a_certificate_that_is_not_trusted(home: Path, front_door: str) -> None:
    run = mlogin(home, "--reflector", front_door)
    assert run.returncode == 255
    assert b"certificate not accepted" in run.stderr


def test_any_certificate_when_told_so(home: Path, front_door: str) -> None:
    """The agent is told so too."""
    assert mlogin(home, "--reflector", front_door, "--insecure-tls", "-c", "exit 3").returncode == 3

"""mlogin and its job through a reflector that speaks TLS."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from tests.links import CERTIFICATE
from tests.reflectors import Reflector, running
from tests.terminals import MLOGIN, ROOT, environment
from tests.waiting import PATIENCE, wait_until

BULK = 12_000_000
TRUSTED = {"SSL_CERT_FILE": str(CERTIFICATE)}


REFLECTOR_OPTIONS = ("--tls-cert", str(CERTIFICATE), "--tls-key", str(CERTIFICATE))


@pytest.fixture
def url(reflector: Reflector) -> str:
    return f"https://localhost:{reflector.port}"


def mlogin(home: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*MLOGIN, "-q", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env={**environment(home), **more},
        cwd=ROOT,
        timeout=6 * PATIENCE,
    )


def test_a_certificate_that_is_trusted_and_bulk_from_the_job(home: Path, url: str, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(os.urandom(BULK))
    run = mlogin(home, "--reflector", url, "-c", f"cat {source}; exit 3", **TRUSTED)
    assert (run.returncode, run.stderr) == (3, b"")
    assert hashlib.sha256(run.stdout).digest() == hashlib.sha256(source.read_bytes()).digest()


def test_bulk_to_the_job(home: Path, url: str) -> None:
    data = os.urandom(BULK)
    command = f"stty raw -echo; echo ready; head -c {BULK} | sha256sum; exit 4"
    arguments = [*MLOGIN, "-q", "-e", "none", "--reflector", url, "-c", command]
    with subprocess.Popen(
        arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**environment(home), **TRUSTED}, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == b"ready"
        out, _ = process.communicate(data, timeout=6 * PATIENCE)
    assert process.returncode == 4
    assert out.split()[0].decode() == hashlib.sha256(data).hexdigest()


def test_a_certificate_that_is_not_trusted(home: Path, url: str, reflector: Reflector) -> None:
    before = len(reflector.logged("handshake failed"))
    run = mlogin(home, "--reflector", url, SSL_CERT_FILE="/nowhere")
    assert run.returncode == 255
    assert b"certificate not accepted" in run.stderr
    assert b"--insecure-tls trusts any" in run.stderr
    assert b"SSL_CERT_FILE names /nowhere, which cannot be read" in run.stderr
    (entry,) = wait_until(lambda: reflector.logged("handshake failed")[before:])
    assert "unknown ca" in entry["reason"]


def test_a_certificate_of_another_name(home: Path, reflector: Reflector) -> None:
    """127.1 is 127.0.0.1 for the resolver, and another for the certificate."""
    run = mlogin(home, "--reflector", f"https://127.1:{reflector.port}", **TRUSTED)
    assert run.returncode == 255
    assert b"certificate not accepted" in run.stderr


@pytest.mark.parametrize("option", ["-i", "--insecure-tls"])
def test_any_certificate_when_told_so(home: Path, url: str, option: str) -> None:
    """The agent is told so too."""
    assert mlogin(home, "--reflector", url, option, "-c", "exit 3").returncode == 3


def test_http_where_https_is_spoken(home: Path, reflector: Reflector) -> None:
    run = mlogin(home, "--reflector", f"http://localhost:{reflector.port}")
    assert run.returncode == 255
    assert b"https is spoken here" in run.stderr


def test_https_where_http_is_spoken(home: Path) -> None:
    with running() as reflector:
        run = mlogin(home, "--reflector", f"https://localhost:{reflector.port}")
    assert run.returncode == 255
    assert b"the peer does not speak TLS" in run.stderr
    assert f"without TLS runs there: --reflector http://localhost:{reflector.port}".encode() in run.stderr

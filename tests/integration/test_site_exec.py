"""Commands in a session, by `medusa exec` at another reflector than the session's: signed, over TLS or raw TCP."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest

from tests.integration.test_exec import MEDUSA
from tests.links import CERTIFICATE
from tests.own_sessions import environ
from tests.sites import Site
from tests.terminals import ROOT, assert_nothing_left, mlogin
from tests.waiting import PATIENCE, wait_until

BYTES = random.Random(13).randbytes(300_000)


def test_commands_at_another_reflector(
    site: Site, key_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    options = ["--tls-cert", str(CERTIFICATE), "--tls-key", str(CERTIFICATE), "--advertise", "localhost"]
    options += ["--accounts", str(key_file.parent / "accounts"), "--workers", "2", "--raw-port", "0"]
    signed = ["-a", "jill", "-k", str(key_file)]
    with site.reflector(*options) as here, site.reflector(*options) as there:
        urls = [f"https://localhost:{there.port}", f"tcp://127.0.0.1:{there.raw_port}"]
        command = mlogin("-q", *signed, "--reflector", f"https://localhost:{here.port}", "--name", "train", "-c", "cat")
        with subprocess.Popen(command, env=environ(tmp_path), cwd=ROOT, stdin=subprocess.PIPE) as session:
            (name,) = wait_until(lambda: [each["id"] for each in here.sessions() if each["has_slave"]])
            runs = [
                subprocess.Popen(
                    [*MEDUSA, "exec", *signed, "--reflector", url, wanted, "--", "cat; echo err >&2; exit 3"],
                    env=environ(tmp_path),
                    cwd=ROOT,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                )
                for url, wanted in zip(urls, ("train", name), strict=True)
            ]
            for run in runs:
                assert run.communicate(BYTES, timeout=2 * PATIENCE) == (BYTES, b"err\n")
                assert run.returncode == 3
            assert len(there.logged("carried", session=name, side="client")) == 2
            assert session.stdin is not None
            session.stdin.close()
            assert session.wait(PATIENCE) == 0
        record = here.ended(name)
        assert (record["login"], record["session_name"], record["legs"]) == ("jill", "train", 3)
    assert_nothing_left(tmp_path)

"""The agent behind an HTTP proxy: a real one, that asks for a login or does not, and that may be the only way out."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from medusa.client.archive import find_archive
from medusa.protocol.control import Exit
from tests.agents import SECRET, Reflector, job_environ, launched
from tests.proxies import tinyproxy
from tests.waiting import PATIENCE, wait_until

LOGIN = "jill:p%2dss_word"
"""As it stands in a URL; the password is `p-ss_word`."""

pytestmark = pytest.mark.skipif(not shutil.which("tinyproxy"), reason="needs tinyproxy")


def hold_session(dialled: Reflector, command: list[str | Path], environ: dict[str, str]) -> str:
    """A whole session; the agent's log."""
    with launched(command, job_environ(MEDUSA_SIGNED_URL=dialled.url, **environ)) as agent:
        client = dialled.accept()
        client.run("echo $((6 * 7)); exit 5")
        assert client.outcome() == Exit(status=5)
        assert client.output == b"42\r\n"
        client.link.close()
        status, log = agent.finish()
    assert status == 0, log
    assert SECRET not in log
    return log


@pytest.mark.parametrize("variable", ["http_proxy", "ALL_PROXY"])
def test_a_proxy_with_a_login(dialled: Reflector, tmp_path: Path, variable: str) -> None:
    with tinyproxy(tmp_path, "BasicAuth jill p-ss_word") as port:
        log = hold_session(dialled, ["sh", find_archive()], {variable: f"http://{LOGIN}@127.0.0.1:{port}"})
    assert "jill" not in log


def test_a_login_that_the_proxy_does_not_take(dialled: Reflector, tmp_path: Path) -> None:
    with tinyproxy(tmp_path, "BasicAuth jill p-ss_word") as port:
        environ = job_environ(MEDUSA_SIGNED_URL=dialled.url, http_proxy=f"http://jill:wr0ng@127.0.0.1:{port}")
        with launched(["sh", find_archive()], environ) as agent:
            status, log = agent.finish()
    assert status == 3
    assert f"not connected: the proxy 127.0.0.1:{port} refused: 40" in log
    assert "wr0ng" not in log


def test_a_proxy_that_is_the_only_way_out(dialled: Reflector, tmp_path: Path) -> None:
    """In a network of its own, in which a port leads to the proxy by a socket file."""
    inside = ["bwrap", "--unshare-net", "--unshare-pid", "--die-with-parent", "--bind", "/", "/", "--dev", "/dev"]
    inside += ["--proc", "/proc"]
    if subprocess.run([*inside, "true"], capture_output=True, timeout=PATIENCE).returncode:
        pytest.skip("needs bwrap, and namespaces")
    way = tmp_path / "way"
    entry = f"socat TCP-LISTEN:3128,bind=127.0.0.1,fork UNIX-CONNECT:'{way}' & exec sh '{find_archive()}' --retry-for 9"
    with tinyproxy(tmp_path) as port:
        exit_ = ["socat", f"UNIX-LISTEN:{way},fork", f"TCP:127.0.0.1:{port}"]
        with subprocess.Popen(exit_) as bridge:
            try:
                wait_until(way.exists, "the bridge")
                command: list[str | Path] = [*inside, "sh", "-c", entry]
                hold_session(dialled, command, {"http_proxy": "http://127.0.0.1:3128"})
            finally:
                bridge.terminate()

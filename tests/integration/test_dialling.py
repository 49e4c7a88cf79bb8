"""The way from mlogin and the agent to a reflector: names with several addresses, name servers, proxies."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from medusa.client.archive import find_archive
from tests.agents import job_environ, launched
from tests.ports import swallowing
from tests.proxies import talkative
from tests.reflectors import Reflector
from tests.terminals import MLOGIN, environment, run_alone
from tests.waiting import PATIENCE

NAME = "many.example"


def with_files(tmp_path: Path, **files: str) -> list[str]:
    """The beginning of a command that runs with other files in /etc; skips the test if that cannot be."""
    command = ["bwrap", "--die-with-parent", "--dev-bind", "/", "/"]
    for name, text in files.items():
        (tmp_path / name).write_text(text)
        command += ["--ro-bind", str(tmp_path / name), f"/etc/{name.replace('_', '.')}"]
    try:
        done = subprocess.run([*command, "true"], capture_output=True, timeout=PATIENCE)
    except FileNotFoundError:
        pytest.skip("needs bwrap")
    if done.returncode:
        pytest.skip("needs namespaces")
    return command


def session(url: str, home: Path, before: list[str], **environ: str) -> subprocess.CompletedProcess[str]:
    """A command in a local job, whose agent comes to the reflector at `url` too."""
    arguments = ["--reflector", url, "-c", "echo $((6 * 7)); exit 5"]
    return run_alone([*before, *MLOGIN, *arguments], {**environment(home), **environ})


def test_addresses_that_swallow_packets_hold_up_neither_mlogin_nor_the_agent(
    reflector: Reflector, home: Path, tmp_path: Path
) -> None:
    hosts = "".join(f"127.0.0.{number} {NAME}\n" for number in (2, 3, 1))
    with swallowing("127.0.0.2", reflector.port), swallowing("127.0.0.3", reflector.port):
        run = session(f"http://{NAME}:{reflector.port}", home, with_files(tmp_path, hosts=hosts))
    assert (run.returncode, run.stdout) == (5, "42\n"), run.stderr


def test_each_address_that_failed_is_named(home: Path, tmp_path: Path) -> None:
    before = with_files(tmp_path, hosts=f"127.0.0.2 {NAME}\n127.0.0.3 {NAME}\n")
    run = session(f"http://{NAME}:1", home, before)
    assert run.returncode == 255
    assert "Connection refused (127.0.0.2, 127.0.0.3)" in run.stderr


def test_a_signal_ends_a_lookup(tmp_path: Path) -> None:
    """The name server takes questions and answers none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        try:
            server.bind(("127.0.0.9", 53))
        except PermissionError:
            pytest.skip("needs the port of a name server")
        server.settimeout(PATIENCE)
        before = with_files(tmp_path, resolv_conf="nameserver 127.0.0.9\n", nsswitch_conf="hosts: dns\n")
        environ = job_environ(MEDUSA_SIGNED_URL=f"http://{NAME}:1/attach/x/slave")
        with launched([*before, "sh", find_archive()], environ) as bwrap:
            server.recv(4096)
            os.kill(int(Path(f"/proc/{bwrap.pid}/task/{bwrap.pid}/children").read_text()), signal.SIGTERM)
            status, log = bwrap.finish()
    assert (status, log.splitlines()[1:]) == (128 + signal.SIGTERM, ["medusa agent: stopped by SIGTERM"])


@pytest.fixture
def hinting(reflector: Reflector, tmp_path: Path) -> Iterator[int]:
    """The port of a proxy in front of the reflector that says more than is asked."""
    with talkative(tmp_path, reflector.port) as port:
        yield port


def test_early_hints_and_fields_that_come_twice(hinting: int, home: Path) -> None:
    run = session(f"http://127.0.0.1:{hinting}", home, [])
    assert (run.returncode, run.stdout) == (5, "42\n"), run.stderr


def test_a_redirect_says_where_it_leads(hinting: int, home: Path) -> None:
    base = f"127.0.0.1:{hinting}/moved"
    run = session(f"http://{base}", home, [])
    assert run.returncode == 255
    assert f"it leads to https://{base}/attach/" in run.stderr
    assert f"if you trust that place: --reflector https://{base}\n" in run.stderr
    environ = job_environ(MEDUSA_SIGNED_URL=f"http://{base}/attach/x/slave?signature=secret")
    with launched(["sh", find_archive()], environ) as agent:
        status, log = agent.finish()
    assert status == 3
    assert f"it leads to https://{base}/attach/x/slave, and redirects are not followed" in log
    assert "secret" not in log


def test_a_network_in_no_proxy(reflector: Reflector, home: Path) -> None:
    dead = {"ALL_PROXY": "http://127.0.0.1:1", "no_proxy": "10.0.0.0/8 127.0.0.0/8"}
    run = session(f"http://127.0.0.1:{reflector.port}", home, [], **dead)
    assert (run.returncode, run.stdout) == (5, "42\n"), run.stderr
    run = session(f"http://127.0.0.1:{reflector.port}", home, [], **{**dead, "no_proxy": "10.0.0.0/8"})
    assert run.returncode == 255
    assert "the proxy 127.0.0.1:1: Connection refused" in run.stderr
